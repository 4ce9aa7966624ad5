/** Long reads in pieces, so that others are answered in between: the embedded store works in the thread of the API. */

import type { RangeQuery, RangeSeries } from '#store/store'
import type { BoundReader } from './reader.ts'

/** Hours of series that a piece reads: some tenths of a second at most. */
const pieceHours = 5_000

const gpusMax = 500

/** One metric of these GPUs, as `Store.range` answers, in the order of the GPUs. */
export async function* readPieces(
  reader: BoundReader,
  query: RangeQuery & { readonly uuids: readonly string[] },
  rangeMs: number,
): AsyncGenerator<RangeSeries[]> {
  const hours = Math.ceil(rangeMs / 3_600_000) + 1
  const size = Math.max(1, Math.min(gpusMax, Math.floor(pieceHours / hours)))
  for (let from = 0; from < query.uuids.length; from += size) {
    if (from > 0) await turn()
    const uuids = query.uuids.slice(from, from + size)
    yield await reader.ask((store) => store.range({ ...query, uuids }), [])
  }
}

/** Lets the event loop go round once. */
export function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve))
}
