/** `penstock doctor`: says what is wrong here, and how to mend it. */

import { setting, type SettingTable } from '#lib/settings'
import { didYouMean, UsageError } from '../args.ts'
import { command } from '../command.ts'
import { printable } from '../table.ts'
import { Config } from './config.ts'
import { countOf, type Finding, type Level } from './finding.ts'
import { apiUrl, lookAtAll, type Role, roleTables } from './looks.ts'

const roles = Object.keys(roleTables) as Role[]

/** Variables of commands that are no role's. */
const ofTools = ['API_URL', 'FORMAT', 'ONCE']

const settings = {
  apiUrl,
  json: setting.boolean('JSON', { help: 'a JSON object a line for each finding', default: 'false' }),
}

export const doctor = command({
  name: 'doctor',
  usage: '[ROLE …]',
  about: `Looks at settings, files of secrets and certificates, the machine, the disk, the port, brokers, clocks,
the database and the API, and says what is wrong and how to mend it. It reads the variables that the
roles read, and takes their flags. It changes nothing, shows no secret, and is done within 15 s.

With names of roles it looks at what these need here; without, at whatever is configured. It ends with
status 0 where there is no problem (warnings are none), 1 where there is one, 2 for a wrong command line.
`,
  more: `  penstock doctor                       whatever is configured
  penstock doctor broker                before a broker is started here
  penstock doctor --addr http://proxy   --addr is short for --msg-queue-addr
  penstock doctor --json | jq 'select(.level == "problem")'
`,
  settings,
  aliases: { addr: 'msg-queue-addr' },
  alsoTakes: Object.assign({}, ...Object.values(roleTables)) as SettingTable,
  positionals: { max: roles.length },
  // Its switch has a name that others use, too.
  reads: ['API_URL'],
  async run({ json }, io, { positionals, flags }) {
    const { json: _, ...given } = flags
    const found = await lookAtAll({
      config: new Config(io.env, given),
      roles: positionals.map(roleOf),
      alsoKnown: ofTools,
      signal: io.signal,
      nowMs: Date.now(),
    })
    if (json) io.stdout.write(found.map((finding) => `${JSON.stringify(finding)}\n`).join(''))
    else io.stdout.write(textOf(found))
    return found.some(({ level }) => level === 'problem') ? 1 : 0
  },
})

function roleOf(word: string): Role {
  const role = roles.find((name) => name === word)
  if (role !== undefined) return role
  throw new UsageError([`want ${roles.join(', ')}, not ${JSON.stringify(word)}${didYouMean(word, roles)}`])
}

const marks: Readonly<Record<Level, string>> = {
  ok: 'ok',
  warning: 'WARNING',
  problem: 'PROBLEM',
  'not looked at': '-',
}

/** A line for each finding, one below it for what to do, and the sum of them. */
function textOf(found: readonly Finding[]): string {
  const lines = found.map(({ level, subject, what, mend }) => {
    const does = mend === undefined || level === 'ok' ? '' : `${' '.repeat(20)}${printable(mend)}\n`
    return `${marks[level].padEnd(9)}${subject.padEnd(9)}  ${printable(what)}\n${does}`
  })
  const count = (level: Level) => found.filter((finding) => finding.level === level).length
  const sum = `${countOf(count('problem'), 'problem')}, ${countOf(count('warning'), 'warning')}, ${count('ok')} ok`
  return `${lines.join('')}\n${sum}\n`
}
