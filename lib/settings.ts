/**
 * Settings: each role has one table of them; `cli/` reads the environment and the flags by it, the help and the docs are
 * made from it. A wrong value is told with its variable, the value and what would be right:
 *
 *     VISIBILITY_TIMEOUT=-3s: want a duration from 1s to 12h
 */

import { parseBytes, parseDuration, parseInteger } from './quantity.ts'

/** One row of a role's table. `T` is the type of its value; it includes `undefined` where there is no fallback. */
export interface Setting<T> {
  /** The environment variable, such as `QUEUE_SIZE`; the flag is {@link flagOf}'s. */
  readonly name: string
  /** One line, without a full stop. */
  readonly help: string
  /** What is right, as it stands in an error: `a duration from 1s to 12h`. */
  readonly want: string
  /** The default in its text form. */
  readonly fallback: string | undefined
  /** Never shown: neither in errors nor in the help. */
  readonly secret?: boolean
  /** A boolean: its flag may stand without a value. */
  readonly isSwitch?: boolean
  /**
   * Reads a value. A wrong one: it returns `undefined`, or throws (the error is not shown, {@link want} is; but a
   * {@link WrongValue} is shown in its place).
   */
  parse(text: string): T | undefined
}

/** `any`, because a table holds settings of all types, and {@link Settings} finds out which. */
export type SettingTable = Readonly<Record<string, Setting<any>>>

/** The values of a table. */
export type Settings<Table extends SettingTable> = {
  readonly [Key in keyof Table]: Table[Key] extends Setting<infer Value> ? Value : never
}

interface Common {
  readonly help: string
  readonly secret?: boolean
}

/** With a default the value is always there; without one it may be `undefined`. */
interface Kind<T, Limits> {
  (name: string, options: Common & Limits & { readonly default: string }): Setting<T>
  (name: string, options: Common & Limits): Setting<T | undefined>
}

interface Reader<T> {
  readonly want: string
  readonly isSwitch?: boolean
  parse(text: string): T | undefined
}

function kind<T, Limits>(makeReader: (limits: Limits) => Reader<T>): Kind<T, Limits> {
  return (name: string, options: Common & Limits & { readonly default?: string }) => {
    const reader = makeReader(options)
    const { help, default: fallback, secret = false } = options
    if (fallback !== undefined && reader.parse(fallback) === undefined) {
      throw new TypeError(`the default of ${name} is ${fallback}: want ${reader.want}`)
    }
    return { name, help, fallback, secret, isSwitch: false, ...reader }
  }
}

interface Range<Bound> {
  readonly min?: Bound
  readonly max?: Bound
}

/** A number in its text form, with its limits in theirs: the error shows them as the table wrote them. */
function quantity(noun: string, example: string, parse: (text: string) => number | undefined) {
  return kind<number, Range<string | number>>(({ min, max }) => {
    const least = min === undefined ? -Infinity : boundOf(min, parse)
    const most = max === undefined ? Infinity : boundOf(max, parse)
    return {
      want: noun + rangeOf(min, max, example),
      parse(text) {
        const value = parse(text)
        return value !== undefined && value >= least && value <= most ? value : undefined
      },
    }
  })
}

function boundOf(bound: string | number, parse: (text: string) => number | undefined): number {
  const value = parse(String(bound))
  if (value === undefined) throw new TypeError(`${bound} is no limit of a setting`)
  return value
}

function rangeOf(min: string | number | undefined, max: string | number | undefined, example: string): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`
  if (min !== undefined) return ` of at least ${min}`
  if (max !== undefined) return ` of at most ${max}`
  return example
}

const truths: Readonly<Record<string, boolean>> = { true: true, 1: true, yes: true, false: false, 0: false, no: false }

/** The kinds of settings. Each takes the name of the variable and what the table says about it. */
export const setting = {
  /** Any text, or one that `pattern` takes: then `want` says what that is. */
  text: kind<string, { readonly pattern?: RegExp; readonly want?: string }>(({ pattern, want = 'a text' }) => ({
    want,
    parse: (text) => (pattern === undefined || pattern.test(text) ? text : undefined),
  })),
  integer: quantity('a whole number', '', parseInteger),
  /** Milliseconds. `250ms`, `30s`, `1.5h`, `7d`. */
  duration: quantity('a duration', ' such as 30s, 5m or 12h', parseDuration),
  /** Bytes. `4096`, `1GB` (10^9), `256MiB` (2^28). */
  bytes: quantity('a size', ' such as 64KiB, 256MiB or 1GB', parseBytes),
  /** A TCP port; 0 lets the system choose. */
  port: kind<number, object>(() => ({
    want: 'a port from 1 to 65535, or 0 for any',
    parse(text) {
      const port = parseInteger(text)
      return port !== undefined && port >= 0 && port <= 65_535 ? port : undefined
    },
  })),
  boolean: kind<boolean, object>(() => ({
    want: 'true or false',
    isSwitch: true,
    parse: (text) => (Object.hasOwn(truths, text.toLowerCase()) ? truths[text.toLowerCase()] : undefined),
  })),
  /** Parts between commas, without the blanks around them; an empty default is the empty list. */
  list: kind<readonly string[], { readonly want?: string }>(({ want = 'a list with commas' }) => ({
    want,
    parse(text) {
      if (text === '') return []
      const parts = text.split(',').map((part) => part.trim())
      return parts.includes('') ? undefined : parts
    },
  })),
  /** An http or https URL, without the slashes at its end. */
  url: kind<string, object>(() => ({
    want: 'an http or https URL such as http://127.0.0.1:8080',
    parse: parseUrl,
  })),
  choice,
}

function choice<const Value extends string>(
  name: string,
  options: Common & { readonly values: readonly Value[]; readonly default: NoInfer<Value> },
): Setting<Value>
function choice<const Value extends string>(
  name: string,
  options: Common & { readonly values: readonly Value[] },
): Setting<Value | undefined>
function choice(name: string, options: Common & { readonly values: readonly string[]; readonly default?: string }) {
  const { values, ...rest } = options
  const want = `one of ${values.join(', ')}`
  return kind<string, object>(() => ({ want, parse: (text) => values.find((value) => value === text) }))(name, rest)
}

function parseUrl(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) return undefined
  if (url.search !== '' || url.hash !== '') return undefined
  return url.href.replace(/\/+$/, '')
}

const file = { want: 'the path of a file, which is read again when it changes' }

/** What every role takes; its own table begins with `...commonSettings`. */
export const commonSettings = {
  port: setting.port('PORT', { help: 'port to listen on', default: '8080' }),
  host: setting.text('HOST', {
    help: 'address to listen on; default 127.0.0.1, and 0.0.0.0 with a SERVICE_TOKEN',
    pattern: /^[A-Za-z0-9.:_%-]+$/,
    want: 'a host name or an address',
  }),
  serviceToken: setting.text('SERVICE_TOKEN', {
    help: 'the token between the roles; without one a role listens on loopback only and asks for none',
    secret: true,
    pattern: /^[\x21-\x7e]{1,512}$/,
    want: '1 to 512 visible ASCII characters without blanks',
  }),
  logLevel: setting.choice('LOG_LEVEL', {
    help: 'the least level that is logged',
    values: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
    default: 'info',
  }),
  stopGraceMs: setting.duration('STOP_GRACE', {
    help: 'how long a role that stops waits for the requests that it is answering',
    default: '10s',
    min: '0',
    max: '10m',
  }),
  dataDir: setting.text('DATA_DIR', { help: 'the folder of everything that is kept', default: './data' }),
  tlsCert: setting.text('TLS_CERT', {
    help: 'a PEM file: listen by TLS with this certificate and what follows it',
    ...file,
  }),
  tlsKey: setting.text('TLS_KEY', { help: 'a PEM file: the key of TLS_CERT', ...file }),
  tlsClientCa: setting.text('TLS_CLIENT_CA', {
    help: 'a PEM file: only clients with a certificate of these authorities may ask (mTLS), but for /health and /ready',
    ...file,
  }),
  tlsCa: setting.text('TLS_CA', {
    help: 'a PEM file: the authorities of the roles that this one asks; default those of the system',
    ...file,
  }),
  tlsClientCert: setting.text('TLS_CLIENT_CERT', {
    help: 'a PEM file: the certificate to show to the roles that this one asks; with TLS_CA the default is TLS_CERT',
    ...file,
  }),
  tlsClientKey: setting.text('TLS_CLIENT_KEY', { help: 'a PEM file: the key of TLS_CLIENT_CERT', ...file }),
}

export type CommonSettings = Settings<typeof commonSettings>

/** Wrong settings, all of them at once: one line each. */
export class SettingsError extends Error {
  readonly lines: readonly string[]

  constructor(lines: readonly string[]) {
    super(lines.join('\n'))
    this.name = 'SettingsError'
    this.lines = lines
  }
}

/** Thrown by a setting of several parts that can say which of them is wrong, and what would be right. */
export class WrongValue extends Error {
  override readonly name = 'WrongValue'
}

export interface SettingSources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** By flag without its dashes: `{ 'queue-size': '5' }`. */
  readonly flags?: Readonly<Record<string, string | undefined>>
}

/**
 * The values of a table: a flag wins over `PENSTOCK_NAME`, which wins over `NAME`. An empty text is none.
 *
 * @throws SettingsError naming each wrong value
 */
export function readSettings<Table extends SettingTable>(table: Table, sources: SettingSources): Settings<Table> {
  const values: Record<string, unknown> = {}
  const wrong: string[] = []
  for (const [key, row] of Object.entries(table)) {
    const given = givenFor(row, sources)
    const text = given?.text ?? row.fallback
    if (text === undefined) {
      values[key] = undefined
      continue
    }
    const value = tryParse(row, text)
    const from = given?.from ?? row.name
    if (value === undefined) wrong.push(`${from}${shownValue(row, text)}: want ${row.want}`)
    else if (value instanceof WrongValue) wrong.push(`${from}: ${value.message}`)
    else values[key] = value
  }
  if (wrong.length > 0) throw new SettingsError(wrong)
  return values as Settings<Table>
}

/** `QUEUE_SIZE` is `--queue-size`. */
export function flagOf(row: { readonly name: string }): string {
  return `--${row.name.toLowerCase().replaceAll('_', '-')}`
}

/** The help of a table: for each setting its flag and variable, what it is for, what it takes, and its default. */
export function helpOf(table: SettingTable): string {
  const rows = Object.values(table)
  const heads = rows.map((row) => `  ${flagOf(row).padEnd(widest(rows, flagOf))}  ${row.name}`)
  const indent = Math.max(...heads.map((head) => head.length)) + 2
  return rows
    .map((row, at) => {
      const fallback = row.fallback === undefined || row.fallback === '' ? '' : ` (default ${row.fallback})`
      return `${(heads[at] as string).padEnd(indent)}${row.help}\n${' '.repeat(indent)}${row.want}${fallback}\n`
    })
    .join('')
}

function givenFor(
  row: Setting<unknown>,
  { env, flags = {} }: SettingSources,
): { from: string; text: string } | undefined {
  const flag = flagOf(row)
  const places = [
    [flag, flags[flag.slice(2)]],
    [`PENSTOCK_${row.name}`, env[`PENSTOCK_${row.name}`]],
    [row.name, env[row.name]],
  ] as const
  for (const [from, text] of places) if (text !== undefined && text !== '') return { from, text }
  return undefined
}

function tryParse<T>(row: Setting<T>, text: string): T | WrongValue | undefined {
  try {
    return row.parse(text)
  } catch (error) {
    return error instanceof WrongValue && row.secret !== true ? error : undefined
  }
}

const shownCharactersMax = 200

/** `=value` as it can stand in one line of a terminal; nothing of a secret. */
function shownValue(row: Setting<unknown>, text: string): string {
  if (row.secret === true) return ''
  const shown = text.length > shownCharactersMax ? `${text.slice(0, shownCharactersMax)}…` : text
  // A value with control characters is shown as JSON writes it: it must neither break the line nor move the cursor.
  return /\p{Cc}/u.test(shown) ? `=${JSON.stringify(shown)}` : `=${shown}`
}

function widest<T>(items: readonly T[], textOf: (item: T) => string): number {
  return Math.max(...items.map((item) => textOf(item).length))
}
