/** What a command is: a table of settings, a text for its help, and what it does. */

import type { Readable } from 'node:stream'
import { fileSettingOf, helpOf, readSettings, type Settings, type SettingTable } from '#lib/settings'
import { didYouMean, readArgs, UsageError } from './args.ts'

/** What a command has of the world. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: Readable & { readonly isTTY?: boolean }
  readonly stdout: NodeJS.WriteStream
  /** What is not the result: progress, logs, errors. */
  readonly stderr: NodeJS.WriteStream
  /** Aborts when the command shall end: Ctrl-C, SIGTERM, the end of its parent. */
  readonly signal: AbortSignal
  /** `penstock up` has started this process, and starts it again when it ends. */
  readonly isSupervised: boolean
}

export interface CommandOptions<Table extends SettingTable> {
  readonly name: string
  /** What stands behind the flags: `TOPIC [RECORD …]`. */
  readonly usage?: string
  /** The help above the settings, in lines of at most 80 characters or so. */
  readonly about: string
  /** The help below them: examples. */
  readonly more?: string
  readonly settings: Table
  /** Short names of flags: `{ addr: 'msg-queue-addr' }`. */
  readonly aliases?: Readonly<Record<string, string>>
  readonly positionals?: { readonly min?: number; readonly max: number }
  /** Variables that are read from the environment, a secret's `…_FILE` with it; without it all of the table. */
  readonly reads?: readonly string[]
  /** Settings that are taken and not shown: those of the roles, for `up`. */
  readonly alsoTakes?: SettingTable
  /** @returns the exit status */
  run(settings: Settings<Table>, io: Io, call: Call): Promise<number>
}

/** The command line besides the settings. */
export interface Call {
  readonly positionals: readonly string[]
  readonly flags: Readonly<Record<string, string>>
}

/** A command whose table is closed inside. */
export interface Command {
  readonly help: string
  /**
   * @param argv what stands behind the command's name
   * @returns the exit status
   * @throws UsageError, SettingsError
   */
  run(argv: readonly string[], io: Io): Promise<number>
}

export function command<Table extends SettingTable>(options: CommandOptions<Table>): Command {
  const { name, usage = '', about, more, settings: table, aliases = {}, positionals } = options
  const help = [
    `penstock ${name} [flags]${usage === '' ? '' : ` ${usage}`}\n`,
    about,
    ...(Object.keys(table).length === 0 ? [] : [`Settings, as flags or from the environment:\n\n${helpOf(table)}`]),
    ...Object.entries(aliases).map(([alias, flag]) => `  --${alias} is short for --${flag}\n`),
    ...(more === undefined ? [] : [more]),
  ].join('\n')
  return {
    help,
    async run(argv, io) {
      const args = readArgs(
        argv,
        { ...options.alsoTakes, ...table },
        { aliases, positionalsMax: positionals?.max ?? 0 },
      )
      if (args.help) {
        io.stdout.write(help)
        return 0
      }
      const settings = readSettings(table, { env: variablesOf(io.env, table, options.reads), flags: args.flags })
      if (args.positionals.length < (positionals?.min ?? 0)) {
        io.stderr.write(`penstock ${name}: want ${usage}; see penstock ${name} --help\n`)
        return 2
      }
      return options.run(settings, io, args)
    },
  }
}

/** A command whose first word picks one of several. */
export function commandOf(parts: Readonly<Record<string, Command>>, help: string): Command {
  return {
    help,
    async run(argv, io) {
      const [name = '--help', ...rest] = argv
      if (name === '--help' || name === '-h') {
        io.stdout.write(help)
        return 0
      }
      const part = Object.hasOwn(parts, name) ? parts[name] : undefined
      if (part !== undefined) return part.run(rest, io)
      const known = Object.keys(parts)
      throw new UsageError([`want ${known.join(', ')}, not ${JSON.stringify(name)}${didYouMean(name, known)}`])
    },
  }
}

function variablesOf(env: Io['env'], table: SettingTable, names: readonly string[] | undefined): Io['env'] {
  if (names === undefined) return env
  const secrets = Object.values(table).filter(({ name, secret }) => secret === true && names.includes(name))
  const all = [...names, ...secrets.map((row) => fileSettingOf(row).name)]
  return Object.fromEntries(all.flatMap((name) => [name, `PENSTOCK_${name}`]).map((name) => [name, env[name]]))
}
