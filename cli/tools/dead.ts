/** `penstock dead list|show|retry|drop`: the dead letters of a topic, for a person. */

import { setting } from '#lib/settings'
import type { Client, Dealt, OpenLetter } from '#wire/client'
import { lettersListedMax } from '#wire/letters'
import { UsageError } from '../args.ts'
import { command } from '../command.ts'
import { formatTable, printable, type Column } from '../table.ts'
import { brokerAliases, brokerSettings, brokerVariables, withBroker } from './broker.ts'

const verbs = ['list', 'show', 'retry', 'drop'] as const
type Verb = (typeof verbs)[number]

const columns: readonly Column<OpenLetter>[] = [
  { head: 'ID', of: ({ id }) => id },
  { head: 'TIME', of: ({ time }) => `${time.slice(0, 19)}Z` },
  {
    head: 'FROM',
    of: ({ origin, file, line }) => origin ?? (file === undefined ? undefined : `${file}:${line ?? '?'}`),
  },
  { head: 'REASON', of: ({ reason }) => reason },
]

export const dead = command({
  name: 'dead',
  usage: 'list|show|retry|drop TOPIC [ID ...]',
  about: `The dead letters of a topic: records that could not be stored, and rows that could not be read.

  list   those that nobody has dealt with, the oldest first
  show   the whole of a letter, its record or row included; all of them without an ID
  retry  sends the records again, and so through the collector; a row of a file is kept, since it is no record
  drop   puts letters away: they are listed no more, and stay in TOPIC.dead as long as the broker keeps that

retry and drop want IDs, or --all.
`,
  more: `  penstock dead list telemetry
  penstock dead show telemetry 0/0/17
  penstock dead retry telemetry --all
`,
  settings: {
    ...brokerSettings,
    all: setting.boolean('ALL', { help: 'retry or drop every letter', default: 'false' }),
    max: setting.integer('MAX', { help: 'list or show this many at most', min: 1 }),
    json: setting.boolean('JSON', { help: 'a JSON object a line instead of a table', default: 'false' }),
  },
  aliases: brokerAliases,
  reads: brokerVariables,
  positionals: { min: 2, max: Infinity },
  run: (settings, io, { positionals: [name = '', topic = '', ...ids] }) => {
    const verb = verbs.find((each) => each === name)
    if (verb === undefined) throw new UsageError([`want ${verbs.join(', ')}, not ${JSON.stringify(name)}`])
    checkUsage(verb, ids, settings.all)
    return withBroker(settings, io, async (client) => {
      if (verb === 'retry' || verb === 'drop') {
        const rounds = ids.length > 0 ? [await client.deal(topic, verb, ids)] : await dealWithAll(client, topic, verb)
        for (const { kept } of rounds)
          for (const { id, why } of kept) io.stderr.write(`${printable(`${id} is kept: ${why}`)}\n`)
        io.stdout.write(`${summary(verb, rounds)}\n`)
        return rounds.some(({ unknown }) => unknown > 0) ? 1 : 0
      }
      const found = await lettersOf(client, topic, ids, settings.max ?? Infinity)
      if (settings.json) io.stdout.write(found.letters.map((letter) => `${JSON.stringify(letter)}\n`).join(''))
      else if (verb === 'show') io.stdout.write(found.letters.map(shown).join('\n'))
      else if (found.letters.length > 0) io.stdout.write(formatTable(columns, found.letters))
      const rest = found.open - found.letters.length
      if (found.open === 0) io.stderr.write(`no dead letters of ${topic} are open\n`)
      else if (ids.length === 0 && rest > 0) io.stderr.write(`and ${rest} more\n`)
      const missing = ids.filter((id) => !found.letters.some((letter) => letter.id === id))
      for (const id of missing) io.stderr.write(`${id} is no open letter of ${topic}\n`)
      return missing.length > 0 ? 1 : 0
    })
  },
})

function checkUsage(verb: Verb, ids: readonly string[], all: boolean): void {
  const changes = verb === 'retry' || verb === 'drop'
  if (!changes && all) throw new UsageError([`--all is for retry and drop: ${verb} without IDs means all`])
  if (verb === 'list' && ids.length > 0) throw new UsageError([`unexpected ${JSON.stringify(ids[0])}: want show ID`])
  if (changes && all === ids.length > 0) throw new UsageError([`${verb} wants the IDs of letters, or --all`])
}

/** Page by page, until it has them. */
async function lettersOf(client: Client, topic: string, ids: readonly string[], max: number) {
  const letters: OpenLetter[] = []
  let open = 0
  for (let after: string | undefined, more = true; more;) {
    const page = await client.letters(topic, { limit: lettersListedMax, ...(after === undefined ? {} : { after }) })
    open = page.open
    letters.push(...page.letters.filter(({ id }) => ids.length === 0 || ids.includes(id)))
    after = page.next ?? undefined
    more = after !== undefined && letters.length < (ids.length === 0 ? max : ids.length)
  }
  return { open, letters: letters.slice(0, max) }
}

/** Round by round, since a broker takes some thousands at a time; it ends where a round changes nothing. */
async function dealWithAll(client: Client, topic: string, verb: 'retry' | 'drop'): Promise<Dealt[]> {
  const rounds: Dealt[] = []
  for (;;) {
    const dealt = await client.deal(topic, verb, 'all')
    rounds.push(dealt)
    // What a round keeps stands before what the next would find: those come after it only once it is dropped.
    if (dealt.open === 0 || (dealt.retried ?? dealt.dropped ?? 0) === 0) return rounds
    if (dealt.kept.length === dealt.open) return rounds
  }
}

function summary(verb: 'retry' | 'drop', rounds: readonly Dealt[]): string {
  const sum = (of: (dealt: Dealt) => number): number => rounds.reduce((total, dealt) => total + of(dealt), 0)
  const done = sum(({ retried = 0, dropped = 0 }) => retried + dropped)
  const unknown = sum((dealt) => dealt.unknown)
  const what = verb === 'retry' ? `sent ${done} records again` : `put ${done} letters away`
  const missed = unknown === 0 ? '' : `, ${unknown} ids are of no open letter`
  return `${what}${missed}, ${rounds.at(-1)?.open ?? 0} are open`
}

/** A letter, line by line. */
function shown({ id, row, ...rest }: OpenLetter): string {
  const lines = Object.entries(rest).map(([name, value]) => `  ${name.padEnd(8)} ${printable(String(value))}`)
  return `${id}\n${lines.join('\n')}\n${row === undefined ? '' : `  row      ${printable(row)}\n`}`
}
