/** What stands behind a command's name, taken apart by the command's table of settings. */

import { parseArgs } from 'node:util'
import { nearest } from '#lib/http/query'
import { fileSettingOf, flagOf, type SettingTable } from '#lib/settings'

export interface Args {
  /** By flag without its dashes, as `readSettings` takes them. */
  readonly flags: Readonly<Record<string, string>>
  readonly positionals: readonly string[]
  readonly help: boolean
}

export interface ArgsOptions {
  /** Short names of flags: `{ addr: 'msg-queue-addr' }`. */
  readonly aliases?: Readonly<Record<string, string>>
  /** How many words may stand without a flag; 0 unless told. */
  readonly positionalsMax?: number
}

/** The command line is wrong. One line each, for standard error; the exit status is 2. */
export class UsageError extends Error {
  readonly lines: readonly string[]

  constructor(lines: readonly string[]) {
    super(lines.join('\n'))
    this.name = 'UsageError'
    this.lines = lines
  }
}

/**
 * Reads `--name value`, `--name=value`, `--switch` and `--no-switch`; a flag given several times is a list with commas.
 * Values are not looked at here: that is `readSettings`' part.
 *
 * @throws UsageError naming everything that is wrong
 */
export function readArgs(argv: readonly string[], table: SettingTable, options: ArgsOptions = {}): Args {
  const { aliases = {}, positionalsMax = 0 } = options
  const types = new Map<string, 'boolean' | 'string'>([['help', 'boolean']])
  for (const row of Object.values(table)) {
    types.set(flagOf(row).slice(2), row.isSwitch === true ? 'boolean' : 'string')
    if (row.secret === true) types.set(flagOf(fileSettingOf(row)).slice(2), 'string')
  }
  for (const [alias, name] of Object.entries(aliases)) types.set(alias, types.get(name) ?? 'string')

  const { tokens } = parseArgs({
    args: [...argv],
    options: Object.fromEntries(
      [...types].map(([name, type]) => [name, name === 'help' ? { type, short: 'h' } : { type }]),
    ),
    // Its own errors stop at the first and name no remedy.
    strict: false,
    tokens: true,
  })

  const flags: Record<string, string> = {}
  const positionals: string[] = []
  const wrong: string[] = []
  let help = false
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind !== 'option') continue
    const negated = types.get(token.name.replace(/^no-/, '')) === 'boolean' && !types.has(token.name)
    const given = negated ? token.name.slice(3) : token.name
    const name = aliases[given] ?? given
    const type = types.get(given)
    if (type === undefined) {
      wrong.push(
        `unknown flag ${token.rawName}${didYouMean(
          token.rawName,
          [...types.keys()].map((flag) => `--${flag}`),
        )}`,
      )
    } else if (type === 'boolean') {
      // `--once=false`; a word behind `--once` is none of it.
      if (given === 'help') help = true
      else flags[name] = negated ? 'false' : token.inlineValue ? token.value : 'true'
    } else if (
      token.value === undefined ||
      token.value === '' ||
      (!token.inlineValue && token.value.startsWith('--'))
    ) {
      wrong.push(`${token.rawName} wants a value: ${token.rawName}=…`)
    } else {
      flags[name] = flags[name] === undefined ? token.value : `${flags[name]},${token.value}`
    }
  }
  // Behind an unknown flag a word is probably its value.
  const surplus = help || wrong.length > 0 ? [] : positionals.slice(positionalsMax)
  for (const word of surplus) wrong.push(`unexpected ${JSON.stringify(word)}`)
  if (wrong.length > 0) throw new UsageError(wrong)
  return { flags, positionals, help }
}

/** ` (did you mean tail?)`, or nothing. */
export function didYouMean(given: string, known: readonly string[]): string {
  const name = nearest(given, known)
  return name === undefined ? '' : ` (did you mean ${name}?)`
}
