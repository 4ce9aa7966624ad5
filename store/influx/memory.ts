/**
 * What a writer remembers of what the database holds: of each series its newest row, of each GPU its newest sighting. It
 * is learnt when a series is first seen, and forgotten when another collector may have written since.
 */

import type { Row } from './rows.ts'
import { changesBy, isOwnerOf, nobody, type OwnerChange, ownerOf, withChanges } from '../owners.ts'
import type { GpuRecord, MetricRecord } from '#telemetry/record'
import type { Instant } from '#telemetry/time'
import { gpuSeriesKey, metricSeriesKey } from '#telemetry/identity'

export type PointRecord = GpuRecord | MetricRecord

export interface SeriesState {
  /** Measurement and tags, as lines begin. */
  readonly head: string
  readonly gpu: GpuState | undefined
  /** The database has no row of it after this moment. */
  newest: Instant
  /** The row at `newest`, where it is known that there is one: whether it has a value. */
  hasValue: boolean | undefined
  /** Its newest row in the batch that is being written. */
  row: Row | undefined
  /** A record of it: the next one is most likely made of the same texts. */
  like: PointRecord
  /** The series that came after it the last time, in the order of a log. */
  next: SeriesState | undefined
  /** What the write that looked at it last asks for. */
  claim: ReadonlySet<unknown> | undefined
}

/**
 * Whether the record is of that series, told by what they share and not by what it says: a collector makes the records of a
 * series of one text (collector/transform.ts). False where it is not sure.
 */
export function isLike(record: PointRecord, { like }: SeriesState): boolean {
  return (
    record.kind === 'gpu' &&
    like.kind === 'gpu' &&
    record.labels === like.labels &&
    record.metric === like.metric &&
    record.uuid === like.uuid &&
    record.gpu_i_id === like.gpu_i_id
  )
}

export interface GpuState {
  readonly uuid: string
  readonly gpu_i_id: string
  /** Its attributes, as `inventory.ts` writes them. */
  attributes: string
  /** Its newest sighting; `undefined` before the first. */
  seen: Instant | undefined
  /** The newest of its changes, by time; all of them where `isWhole`. */
  owners: readonly OwnerChange[]
  isWhole: boolean
  /** A record that said these attributes. */
  like: GpuRecord | undefined
  /** What the batch that is being written says of it. */
  sightings: Sightings | undefined
  /** What the write that looked at it last asks for. */
  claim: ReadonlySet<unknown> | undefined
}

/** A GPU that nothing is known of. */
export function newGpu(uuid: string, gpu_i_id: string): GpuState {
  return {
    uuid,
    gpu_i_id,
    attributes: '',
    seen: undefined,
    owners: [],
    isWhole: true,
    like: undefined,
    sightings: undefined,
    claim: undefined,
  }
}

/** Changes of owner that are remembered of each GPU: what comes late is hardly ever older. */
export const ownersMax = 32

export class Memory {
  readonly series = new Map<string, SeriesState>()
  readonly gpus = new Map<string, GpuState>()

  forget(): void {
    this.series.clear()
    this.gpus.clear()
  }
}

export function seriesKeyOf(record: PointRecord): string {
  return record.kind === 'gpu' ? gpuSeriesKey(record) : `\0${metricSeriesKey(record)}`
}

export function gpuKeyOf({ uuid, gpu_i_id = '' }: { readonly uuid: string; readonly gpu_i_id?: string }): string {
  return `${uuid}\0${gpu_i_id}`
}

export function isBefore(a: Instant, b: Instant): boolean {
  return a.ms < b.ms || (a.ms === b.ms && a.ns < b.ns)
}

export function isSameInstant(a: Instant, b: Instant): boolean {
  return a.ms === b.ms && a.ns === b.ns
}

/** A nanosecond earlier; there is none before 1970. */
export function before({ ms, ns }: Instant): Instant {
  return ns > 0 ? { ms, ns: ns - 1 } : { ms: ms - 1, ns: 999_999 }
}

/** What a batch changes of a GPU. Made when the first of its records comes, and put into the state when all is written. */
export class Sightings {
  readonly state: GpuState
  /** The newest record; a later one of the same time takes its place. */
  newest: GpuRecord | undefined
  seen: Instant | undefined
  /** Its attributes, where they changed; set when lines are made of it. */
  attributes: string | undefined
  #owners: readonly OwnerChange[]
  readonly changes: OwnerChange[] = []

  constructor(state: GpuState) {
    this.state = state
    this.seen = state.seen
    this.#owners = state.owners
  }

  /** Whether the changes that are remembered do not tell whose it was then. */
  static isBeyond(state: GpuState, at: Instant): boolean {
    const first = state.owners[0]
    return !state.isWhole && first !== undefined && isBefore(at, first.at)
  }

  add(record: GpuRecord, at: Instant): void {
    const holder = this.#owners.at(-1)
    const isNewest = this.seen === undefined || !isBefore(at, this.seen)
    // Nearly all: a newer sighting of the same owner.
    const isSame = isNewest && holder !== undefined && !isBefore(at, holder.at) && isOwnerOf(holder.owner, record)
    const isNobody = isNewest && holder === undefined && isOwnerOf(nobody, record)
    if (!isSame && !isNobody) {
      const changes = changesBy(this.#owners, { at, owner: ownerOf(record) }, this.seen)
      if (changes.length > 0) this.#owners = withChanges(this.#owners, changes)
      this.changes.push(...changes)
    }
    if (!isNewest) return
    this.seen = at
    this.newest = record
  }

  commit(): void {
    const { state } = this
    state.sightings = undefined
    state.seen = this.seen
    if (this.attributes !== undefined) state.attributes = this.attributes
    if (this.newest !== undefined) state.like = this.newest
    if (this.#owners.length > ownersMax) state.isWhole = false
    state.owners = this.#owners.slice(-ownersMax)
  }
}
