/**
 * What a topic can be told: one table for `TOPICS`, `PUT /topics/T`, `PATCH /topics/T`, `GET /topics` and `topic.json`.
 *
 * A size or a time without a limit is `Infinity` here, and `none` in text.
 */

import { parseBytes, parseDuration, parseInteger } from '#lib/quantity'
import { deadSuffix, isName, partitionsMax } from '#wire/ids'

import type { Durability } from './log/types.ts'
import type { RetentionMode } from './log/retention.ts'

/** All options of a topic. */
export interface TopicOptions {
  readonly partitions: number
  readonly durability: Durability
  /** `acknowledged`: files of which every group has acknowledged all records go at once, too. */
  readonly retention: RetentionMode
  /** What a partition keeps at most, but for what a group has not acknowledged. */
  readonly retentionBytes: number
  /** Records older than this go, acknowledged or not. */
  readonly retentionAgeMs: number
  /** A partition that has grown to this takes no more. */
  readonly maxBytes: number
  /** Order before availability: a proxy lets no broker stand in for the owner of a partition. */
  readonly strict: boolean
}

/** Those options that somebody named. */
export type GivenOptions = { readonly [Key in keyof TopicOptions]?: TopicOptions[Key] }

/** An option as requests and files write it. */
export type OptionText = string | number | boolean

/** How one option is written. */
interface Row<Value> {
  /** Its name in a request, in `TOPICS` and in `topic.json`. */
  readonly name: string
  /** What is right. */
  readonly want: string
  /** `undefined` for a wrong value. */
  read(value: unknown): Value | undefined
  write(value: Value): OptionText
}

const MiB = 2 ** 20
const GiB = 2 ** 30
const day = 86_400_000

/**
 * A week of records, and no more than 4 GiB of a partition that everybody has read. `maxBytes` is 16 times that: what a
 * group that is away may pile up in a partition before its producers are told to wait.
 */
const defaults = {
  durability: 'fsync',
  retention: 'time',
  retentionBytes: 4 * GiB,
  retentionAgeMs: 7 * day,
  maxBytes: 64 * GiB,
  strict: false,
} as const

const table: { readonly [Key in keyof TopicOptions]: Row<TopicOptions[Key]> } = {
  partitions: {
    name: 'partitions',
    want: `a whole number from 1 to ${partitionsMax}`,
    read(value) {
      const count = typeof value === 'string' ? parseInteger(value) : value
      return typeof count === 'number' && Number.isInteger(count) && count >= 1 && count <= partitionsMax
        ? count
        : undefined
    },
    write: (value) => value,
  },
  durability: choice('durability', ['fsync', 'disk', 'memory']),
  retention: choice('retention', ['time', 'acknowledged']),
  retentionBytes: bytes('retention_bytes'),
  retentionAgeMs: {
    name: 'retention_age',
    want: 'a duration of at least 1s, such as 12h or 30d, or none',
    read(value) {
      if (value === 'none') return Infinity
      const ms = typeof value === 'string' ? parseDuration(value) : undefined
      return ms !== undefined && ms >= 1_000 ? ms : undefined
    },
    write: formatDuration,
  },
  maxBytes: bytes('max_bytes'),
  strict: {
    name: 'strict',
    want: 'true or false',
    read: (value) => [true, false].find((each) => value === each || value === String(each)),
    write: (value) => value,
  },
}

const keys = Object.keys(table) as (keyof TopicOptions)[]

/** The names of all options, as requests write them. */
export const optionNames: readonly string[] = keys.map((key) => table[key].name)

/** An option that is wrong: which, and what would be right. */
export interface WrongOption {
  /** `retention_age=soon: want a duration …` */
  readonly wrong: string
}

/**
 * Reads options by the names that requests use.
 *
 * @param values from a JSON object, or texts; of `TOPICS` or of a file
 */
export function readOptions(values: Readonly<Record<string, unknown>>): GivenOptions | WrongOption {
  const given: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(values)) {
    const key = keys.find((each) => table[each].name === name)
    if (key === undefined) return { wrong: `${shown(name)} is no option of a topic: want ${optionNames.join(', ')}` }
    const read = table[key].read(value)
    if (read === undefined) return { wrong: `${name}=${shown(value)}: want ${table[key].want}` }
    given[key] = read
  }
  return given
}

/** Options by the names that requests use; what {@link readOptions} reads. */
export function writeOptions(options: GivenOptions): Record<string, OptionText> {
  const written: Record<string, OptionText> = {}
  for (const key of keys) {
    const value = options[key]
    if (value !== undefined) written[table[key].name] = (table[key] as Row<unknown>).write(value)
  }
  return written
}

/** The names of the options in which the second differs from what the first asks for. */
export function differences(asked: GivenOptions, have: TopicOptions): string[] {
  return keys
    .filter((key) => asked[key] !== undefined && asked[key] !== have[key])
    .map((key) => {
      const row = table[key] as Row<unknown>
      return `${row.name} is ${row.write(have[key])}, not ${row.write(asked[key])}`
    })
}

/** Fills in what nobody named. */
export function completed(given: GivenOptions & Pick<TopicOptions, 'partitions'>): TopicOptions {
  const whole = { ...defaults, ...given }
  // Who limits a partition to 1 GiB and says nothing else means that it goes on: half of it is room for what is not acknowledged.
  if (given.retentionBytes === undefined && whole.retentionBytes > whole.maxBytes) {
    return { ...whole, retentionBytes: Math.floor(whole.maxBytes / 2) }
  }
  return whole
}

/** What is wrong with options that are each right. */
export function contradiction(options: TopicOptions, partitionsAllowed: number): string | undefined {
  const { partitions, retentionBytes, maxBytes } = options
  if (partitions > partitionsAllowed)
    return `partitions=${partitions}: want at most MAX_PARTITIONS, ${partitionsAllowed}`
  if (retentionBytes > maxBytes && retentionBytes !== Infinity) {
    return (
      `retention_bytes=${formatBytes(retentionBytes)}: want at most max_bytes, ${formatBytes(maxBytes)}, ` +
      'or the partition is full before anything is removed'
    )
  }
  return undefined
}

/** The options of the topic that holds the dead letters: few, kept for people, and written by whoever gives up on a record. */
export function deadOptions(options: TopicOptions): TopicOptions {
  return { ...options, partitions: 1, retention: 'time', strict: false }
}

/** Names that stand for something else in the data folder. */
const reserved = new Set(['identity', 'identity.new'])

/** Whether a topic may be called so, and its dead letters after it; dead letters are made with their topic alone. */
export function isTopicName(name: string): boolean {
  return isName(name) && isName(name + deadSuffix) && !name.endsWith(deadSuffix) && !reserved.has(name)
}

function choice<const Value extends string>(name: string, values: readonly Value[]): Row<Value> {
  return {
    name,
    want: `one of ${values.join(', ')}`,
    read: (given) => values.find((value) => value === given),
    write: (value) => value,
  }
}

function bytes(name: string): Row<number> {
  return {
    name,
    want: 'a size of at least 1MiB, such as 512MiB or 100GB, or none',
    read(value) {
      if (value === 'none') return Infinity
      const size = typeof value === 'string' ? parseBytes(value) : value
      return typeof size === 'number' && Number.isSafeInteger(size) && size >= MiB ? size : undefined
    },
    write: formatBytes,
  }
}

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** Exact: `4GiB`, `100000001B`. */
function formatBytes(size: number): string {
  if (size === Infinity) return 'none'
  let unit = 0
  let count = size
  while (count > 0 && count % 1024 === 0 && unit < byteUnits.length - 1) {
    count /= 1024
    unit++
  }
  return `${count}${byteUnits[unit]}`
}

const durationUnits = [
  ['d', day],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const

/** Exact: `7d`, `90s`, `1500ms`. */
function formatDuration(ms: number): string {
  if (ms === Infinity) return 'none'
  for (const [unit, length] of durationUnits) if (ms % length === 0) return `${ms / length}${unit}`
  return `${ms}ms`
}

/** As much of what somebody wrote as a message should repeat. */
function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value))
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}
