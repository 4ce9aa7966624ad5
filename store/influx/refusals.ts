import { type RefusedRecord, RefusedRecords } from '../errors.ts'
import type { TelemetryRecord } from '#telemetry/record'

/** A record of a batch, and where it stands in its log. */
export interface Delivered {
  readonly record: TelemetryRecord
  readonly logId: string
  readonly offset: number
  /** Whether it was settled before, and comes again: then it is left out in silence. */
  readonly isSettled: boolean
}

/** What of a batch cannot be taken, found before anything is written. */
export class Refusals {
  readonly #records: RefusedRecord[] = []

  /** @returns `false`: it is not taken */
  add({ record, logId, offset, isSettled }: Delivered, trouble: string): false {
    if (!isSettled) this.#records.push({ logId, offset, reason: `${nameOf(record)} at ${record.time}: ${trouble}` })
    return false
  }

  /** @throws RefusedRecords */
  throwIfAny(where: string): void {
    if (this.#records.length > 0) throw new RefusedRecords(where, this.#records)
  }
}

function nameOf(record: TelemetryRecord): string {
  if (record.kind === 'transfer') return `transfer ${record.id}`
  return record.kind === 'gpu' ? `${record.metric} of ${record.uuid}` : record.metric
}
