/**
 * What every store engine does. A collector writes, then acknowledges; everybody else reads.
 *
 * Rules that hold for every engine (the suite in `contract.ts` tests them):
 *
 * - Two records with one identity (`telemetry/identity.ts`) are one row. Writing a row again changes nothing.
 * - Where one identity comes with two values, the later write wins; *not reported* never replaces a number.
 * - What a write did and the ledger's account of it stand or fall together.
 */

import type { Labels, TelemetryRecord, TransferRecord } from '#telemetry/record'
import type { Instant } from '#telemetry/time'
import type { TransferSum, TransferSumQuery } from './transfer-sums.ts'

export interface Store {
  /** What it is, such as `embedded` or `InfluxDB 2.9.1`. */
  readonly engine: string
  /** How many writes, each of logs of its own, are faster at once than one after the other; left out: one. */
  readonly writesAtOnce?: number
  /** By how much a write is worth being larger than usual where more waits to be written; left out: not at all. */
  readonly writeGrowth?: number
  /**
   * Writes a batch and its account in the ledger. When it resolves, the batch survives a power cut. When it rejects, the
   * ledger is as it was, and the same batch may be written again, whole or in pieces.
   *
   * @throws StoreError; code `refused` where the store does not take some of the records, whichever, and would say so again
   */
  write(batch: WriteBatch): Promise<Counts>
  /** The newest value of each series, by host, GPU and metric. */
  latest(filter?: LatestFilter): Promise<LatestRow[]>
  /** The inventory: every GPU and MIG slice ever seen, by host and index. */
  gpus(filter?: GpuFilter): Promise<GpuRow[]>
  hosts(): Promise<HostRow[]>
  /** Namespaces that GPUs belong to by their newest sighting; `''` is none. */
  namespaces(): Promise<NamespaceRow[]>
  /** Values of one metric over time, one entry a series. */
  range(query: RangeQuery): Promise<RangeSeries[]>
  /** One metric over all GPUs: what each has in a window becomes its mean, and those become one value. By time. */
  across(query: AcrossQuery): Promise<AcrossValue[]>
  /** Transfers, newest first. */
  transfers(query?: TransferQuery): Promise<TransferRow[]>
  sites(): Promise<SiteRow[]>
  transferSums(query: TransferSumQuery): Promise<TransferSum[]>
  /** What the ledger says. */
  totals(): Promise<Totals>
  /** Who had which GPU, and from when to when: by GPU, then by time. */
  owners(query?: OwnerQuery): Promise<OwnerRow[]>
  /** How many rows there are, to compare with the ledger; `undefined` where the engine cannot tell what it has removed. */
  rows(): Promise<Rows | undefined>
  /** What the store takes on its disk, in bytes; `undefined` where the engine cannot tell. */
  bytes(): Promise<number | undefined>
  /**
   * Does a piece of what the engine has to do beside writing (sealing, retention), short enough to stand between two writes.
   *
   * @returns whether there is more to do
   */
  upkeep(nowMs: number): Promise<boolean>
  /** After it, every call throws. */
  close(): Promise<void>
}

/** Records of one topic, from one or more logs. */
export interface WriteBatch {
  readonly topic: string
  readonly parts: readonly BatchPart[]
}

/**
 * What a batch has of one log. Each record's offset comes with it, because the ledger counts a record once, however often
 * the log delivers it: offsets below the log's next one are written again, which changes nothing, and are not counted.
 */
export interface BatchPart {
  readonly logId: string
  readonly broker: number
  readonly partition: number
  /** Records that went through `readRecord` and `normalise`. */
  readonly records: readonly TelemetryRecord[]
  /** The offset of each of the records, rising. */
  readonly offsets: readonly number[]
  /** Offsets of what went to the dead letters instead. */
  readonly dead: readonly number[]
  /** The offset behind the last one of this part: where the log is settled up to, once the batch is written. */
  readonly next: number
}

/** Records by what became of them. Always: received = stored + duplicate + not_reported + dead. */
export interface Counts {
  readonly received: number
  /** New rows with a value. */
  readonly stored: number
  /** Records whose identity the store had already. */
  readonly duplicate: number
  /** New rows without a value: the source named the metric and gave none. */
  readonly not_reported: number
  readonly dead: number
}

/** While nobody writes: kept + removed = stored + not_reported of {@link Totals}. */
export interface Rows {
  /** Points and transfers, those without a value too. */
  readonly kept: number
  /** What retention has removed so far. */
  readonly removed: number
  /** So many rows at most belong to writes under way, or cut off: they may be there, and are not in the ledger yet. */
  readonly unsettled?: number
}

/** The account of one log of a topic. */
export interface LedgerRow extends Counts {
  readonly topic: string
  readonly log_id: string
  readonly broker: number
  readonly partition: number
  /** Every record below this offset is settled. */
  readonly next: number
}

export interface Totals extends Counts {
  readonly topics: Readonly<Record<string, Counts>>
  readonly logs: readonly LedgerRow[]
}

/** Each given field narrows the answer. */
export interface GpuFilter {
  readonly hostname?: string | undefined
  readonly uuid?: string | undefined
  readonly namespace?: string | undefined
  /**
   * As it was at this moment, for what was seen then or in the {@link lookBackMs} before: the newest value of each series
   * up to it (included), and pod, namespace and container of that moment. Host, model and labels are those of today, since
   * what else a GPU was called is not kept.
   */
  readonly at?: Instant | undefined
}

/** What was not seen for longer than this before a moment is not part of that moment. */
export const lookBackMs = 86_400_000

export interface LatestFilter extends GpuFilter {
  readonly metric?: string | undefined
}

/** What the newest sighting of a GPU, or of a MIG slice, said about it. */
export interface GpuAttributes {
  readonly uuid: string
  /** `''` where the GPU is not sliced. */
  readonly gpu_i_id: string
  readonly hostname: string
  readonly gpu_id: string
  readonly device_id: string
  readonly model_name: string
  readonly container: string
  readonly pod: string
  readonly namespace: string
}

export interface GpuRow extends GpuAttributes {
  /** Such as the driver's version; labels that make a series of its own stand at the series. */
  readonly labels: Labels
  readonly first_seen: string
  readonly last_seen: string
  /** Canonical names of the metrics that it has. */
  readonly metrics: readonly string[]
}

export interface LatestRow extends GpuAttributes {
  /** For `metric`, the fields of a GPU are empty. */
  readonly kind: 'gpu' | 'metric'
  readonly metric: string
  /** Labels that make the series one of its own (a link, an XID); all tags of a `metric` series. */
  readonly labels: Labels
  /** RFC 3339, UTC. */
  readonly time: string
  /** `null`: not reported. */
  readonly value: number | null
}

export interface HostRow {
  readonly hostname: string
  /** GPUs by uuid: the slices of one are one. */
  readonly gpus: number
  readonly last_seen: string
}

export interface NamespaceRow {
  readonly namespace: string
  readonly gpus: number
  readonly pods: number
}

/**
 * What the values of a window become. `count` counts values, not rows that were not reported; of n values the percentiles
 * are the floor(n x p + 0.5)th by size, as InfluxQL's. `rate` and `increase` are by how much a counter rose, a second and in
 * all; `integral` is the area under a gauge, in its unit x seconds; `bits` are those that any value has (`windows.ts`).
 */
export const rangeFunctions = [
  'mean',
  'min',
  'max',
  'sum',
  'last',
  'count',
  'p50',
  'p95',
  'p99',
  'rate',
  'increase',
  'integral',
  'bits',
] as const
export type RangeFunction = (typeof rangeFunctions)[number]

/** What stands in windows without a row: nothing, `null`, 0, or the value of the window before. */
export const fills = ['none', 'null', 'zero', 'previous'] as const
export type Fill = (typeof fills)[number]

export const orders = ['asc', 'desc'] as const
export type Order = (typeof orders)[number]

export interface RangeQuery {
  readonly metric: string
  /** Left out: series of the kind `metric`, and that metric of every GPU. */
  readonly uuid?: string | undefined
  readonly gpu_i_id?: string | undefined
  /** Only of these GPUs. */
  readonly uuids?: readonly string[] | undefined
  /** Included; default: from the first value. */
  readonly start?: Instant | undefined
  /** Not included; default: up to the last value. */
  readonly end?: Instant | undefined
  /** One value a window of this length, in ms; windows begin at multiples of it since 1970. Left out: the rows as they are. */
  readonly windowMs?: number | undefined
  /** Only with `windowMs`; default `mean`. */
  readonly fn?: RangeFunction | undefined
  /** Only with `windowMs`; default `none`. Others fill from `start`, or the first window with a row, to `end`, or the last one. */
  readonly fill?: Fill | undefined
  /** Values a series at most. The next page starts a nanosecond (with windows: a window) after the last one. */
  readonly limit?: number | undefined
  /** Default `asc`, by time. With `desc` the newest come first, and `limit` leaves out the oldest. */
  readonly order?: Order | undefined
  /** With windows: those before the one that has this moment are read, for functions that look back, and not answered. */
  readonly answerFrom?: Instant | undefined
}

/** Values of a series that a range answers with when it names no limit. */
export const rangeLimitDefault = 10_000

export interface RangeSeries {
  readonly kind: 'gpu' | 'metric'
  readonly metric: string
  readonly uuid: string
  readonly gpu_i_id: string
  readonly labels: Labels
  readonly values: readonly RangeValue[]
}

export interface RangeValue {
  /** Of the row, or of the start of its window. */
  readonly time: string
  /** `null`: not reported, in a window by any of its rows. */
  readonly value: number | null
}

export interface AcrossQuery {
  readonly metric: string
  /** Included. */
  readonly start: Instant
  /** Not included. */
  readonly end: Instant
  /** In ms; windows begin at multiples of it since 1970. */
  readonly windowMs: number
  /** Over the series that have a value in the window. */
  readonly fn: 'sum' | 'mean' | 'min' | 'max'
  /** One value a window and host, model or namespace; a GPU counts for whose it was at the start of the window. */
  readonly by?: AcrossGroup | undefined
}

export const acrossGroups = ['hostname', 'model_name', 'namespace'] as const
export type AcrossGroup = (typeof acrossGroups)[number]

export interface AcrossValue {
  /** What `by` names; only with it. Within a window in their order as texts. */
  readonly group?: string
  /** Of the start of the window. */
  readonly time: string
  /** `null`: none of them reported. */
  readonly value: number | null
  /** How many reported. */
  readonly series: number
}

/** Whose a GPU is. Empty: not told. */
export interface Owner {
  readonly namespace: string
  readonly pod: string
  readonly container: string
  /** The label `hpc_job`. */
  readonly hpc_job: string
  /** The label `user`. */
  readonly user: string
}

export interface OwnerQuery {
  readonly uuid?: string | undefined
  readonly gpu_i_id?: string | undefined
  /** Intervals that end after it. */
  readonly start?: Instant | undefined
  /** Intervals that begin before it. */
  readonly end?: Instant | undefined
}

/** An interval in which a GPU had one owner. Times in which it had none are no interval. */
export interface OwnerRow extends Owner {
  readonly uuid: string
  readonly gpu_i_id: string
  /** When it was first seen with this owner. */
  readonly from: string
  /** When it was first seen with another one, or with none; `null`: it still has this one, as far as is known. */
  readonly to: string | null
}

export interface TransferQuery {
  readonly site?: string | undefined
  readonly status?: string | undefined
  /** Included. */
  readonly start?: Instant | undefined
  /** Not included. */
  readonly end?: Instant | undefined
  /** Default 100. */
  readonly limit?: number | undefined
  /** The last row of the page before: what follows it. */
  readonly after?: { readonly time: Instant; readonly id: string } | undefined
}

export type TransferRow = Omit<TransferRecord, 'kind'>

export interface SiteRow {
  readonly site: string
  readonly transfers: number
  /** By status, such as `{"success":12,"failed":1}`. */
  readonly statuses: Readonly<Record<string, number>>
  /** Sum over the transfers that reported it. */
  readonly bytes: number
  readonly duration_s: number
  readonly last: string
}

/** Counts with nothing in them. */
export const noCounts: Counts = { received: 0, stored: 0, duplicate: 0, not_reported: 0, dead: 0 }

/** The sum of two accounts. */
export function addCounts(a: Counts, b: Counts): Counts {
  return {
    received: a.received + b.received,
    stored: a.stored + b.stored,
    duplicate: a.duplicate + b.duplicate,
    not_reported: a.not_reported + b.not_reported,
    dead: a.dead + b.dead,
  }
}

/** The totals of a ledger: all of it, and by topic. */
export function totalsOf(logs: readonly LedgerRow[]): Totals {
  // No object by name: a topic may be called "constructor".
  const topics = new Map<string, Counts>()
  for (const log of logs) topics.set(log.topic, addCounts(topics.get(log.topic) ?? noCounts, log))
  return { ...[...topics.values()].reduce(addCounts, noCounts), topics: Object.fromEntries(topics), logs }
}
