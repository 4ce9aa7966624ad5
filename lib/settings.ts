/**
 * Settings: each role has one table of them; `cli/` reads the environment and the flags by it, the help and the docs are
 * made from it. A wrong value is told with its variable, the value and what would be right:
 *
 *     VISIBILITY_TIMEOUT=-3s: want a duration from 1s to 12h
 */

import { parseBytes, parseDuration, parseInteger } from './quantity.ts'
import { logLevels } from './levels.ts'
import { FileSecrets, fixedSecrets, readSecretFile, SecretFileError, type Secrets } from './secret.ts'

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
  /** Never shown: neither in errors nor in the help. Such a one may also stand in a file, which `<NAME>_FILE` names. */
  readonly secret?: boolean
  /** A boolean: its flag may stand without a value. */
  readonly isSwitch?: boolean
  /**
   * Reads a value. A wrong one: it returns `undefined`, or throws (the error is not shown, {@link want} is; but a
   * {@link WrongValue} is shown in its place).
   */
  parse(text: string): T | undefined
  /**
   * Makes a value (a `T`; not said in the type, so that a table may spread a row and read it otherwise) that goes on reading
   * its file.
   *
   * @throws SecretFileError
   */
  follow?(path: string): unknown
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
  /** A share: 0 is nothing, 1 is all. */
  ratio: kind<number, object>(() => ({
    want: 'a number from 0 to 1',
    parse(text) {
      const value = /^\d*\.?\d+$/.test(text) ? Number(text) : NaN
      return value >= 0 && value <= 1 ? value : undefined
    },
  })),
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
  /** Secrets between commas: each is right, the first is sent. In a file they may change while the process runs. */
  secrets,
  /** An http or https URL, without the slashes at its end. */
  url: kind<string, object>(() => ({
    want: 'an http or https URL such as http://127.0.0.1:8080',
    parse: parseUrl,
  })),
  /** Several of them, between commas; an empty default is the empty list. */
  urls: kind<readonly string[], object>(() => ({
    want: 'http or https URLs with commas, such as http://127.0.0.1:8090,http://127.0.0.1:8091',
    parse(text) {
      const urls = text === '' ? [] : text.split(',').map((part) => parseUrl(part.trim()))
      return urls.every((url) => url !== undefined) ? urls : undefined
    },
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

function secrets(
  name: string,
  options: { readonly help: string; readonly want: string; readonly pattern: RegExp },
): Setting<Secrets | undefined> {
  const { help, want, pattern } = options
  const read = (text: string): readonly string[] | undefined => {
    const parts = text.split(',').map((part) => part.trim())
    return parts.every((part) => pattern.test(part)) ? parts : undefined
  }
  return {
    name,
    help,
    want,
    fallback: undefined,
    secret: true,
    parse(text) {
      const [first, ...others] = read(text) ?? []
      return first === undefined ? undefined : fixedSecrets(first, ...others)
    },
    follow: (path) => new FileSecrets(path, read),
  }
}

function parseUrl(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) return undefined
  if (url.search !== '' || url.hash !== '') return undefined
  // Nobody sends them, and addresses are shown and logged.
  if (url.username !== '' || url.password !== '')
    throw new WrongValue('the address holds a name or a password: want it without, and a secret in the setting for it')
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
  serviceToken: setting.secrets('SERVICE_TOKEN', {
    help: 'the token between the roles; without one a role listens on loopback only and asks for none',
    pattern: /^[\x21-\x2b\x2d-\x7e]{1,512}$/,
    want: '1 to 512 visible ASCII characters without blanks; two with a comma while they are changed: the first is sent',
  }),
  logLevel: setting.choice('LOG_LEVEL', {
    help: 'the least level that is logged',
    values: logLevels,
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
    const isFile = given?.isFile === true
    const value = isFile ? tryFile(row, text) : tryParse(row, text)
    const from = given?.from ?? row.name
    if (value === undefined) wrong.push(`${from}${isFile ? `=${text}` : shownValue(row, text)}: want ${row.want}`)
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
      const file = row.secret === true ? `; or ${flagOf(fileSettingOf(row))}, a file that holds it` : ''
      return `${(heads[at] as string).padEnd(indent)}${row.help}\n${' '.repeat(indent)}${row.want}${file}${fallback}\n`
    })
    .join('')
}

interface Given {
  readonly from: string
  readonly text: string
  /** The text is the path of a file that has the value. */
  readonly isFile: boolean
}

function givenFor(row: Setting<unknown>, { env, flags = {} }: SettingSources): Given | undefined {
  const names = row.secret === true ? [row, fileSettingOf(row)] : [row]
  const places: readonly ((name: string) => readonly [from: string, text: string | undefined])[] = [
    (name) => [flagOf({ name }), flags[flagOf({ name }).slice(2)]],
    (name) => [`PENSTOCK_${name}`, env[`PENSTOCK_${name}`]],
    (name) => [name, env[name]],
  ]
  for (const place of places) {
    const given = names.flatMap(({ name }): Given[] => {
      const [from, text] = place(name)
      return text === undefined || text === '' ? [] : [{ from, text, isFile: name !== row.name }]
    })
    if (given.length < 2) {
      if (given[0] !== undefined) return given[0]
    } else return { ...(given[1] as Given), text: '', isFile: true }
  }
  return undefined
}

/** The setting that names a file with the value of a secret: `API_KEY_FILE`. */
export function fileSettingOf(row: { readonly name: string }): { readonly name: string } {
  return { name: `${row.name}_FILE` }
}

function tryFile<T>(row: Setting<T>, path: string): T | WrongValue | undefined {
  if (path === '') return new WrongValue(`${row.name} is given beside it: want one of them`)
  try {
    return row.follow === undefined ? row.parse(readSecretFile(path)) : (row.follow(path) as T)
  } catch (error) {
    if (error instanceof SecretFileError) return new WrongValue(`${path}: ${error.message}: want ${row.want}`)
    throw error
  }
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
