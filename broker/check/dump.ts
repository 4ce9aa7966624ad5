/** The records of a log, read from its files past all damage. */

import type { ReadBatchHead } from '#wire/frames'
import type { Offset } from '#wire/ids'
import { SseParser } from '#wire/sse'

import type { Disk } from '../disk/disk.ts'
import { nextGoodBatch, readSegmentHead, scanMemory, SparseIndex, WindowReader } from '../log/segment.ts'
import { readTrailer } from '../log/trailer.ts'
import { firstOf } from './log.ts'

export interface DumpedRecord {
  /** `0/3/1234567`. */
  readonly id: string
  readonly data: string
}

export type Dumped =
  | {
      readonly kind: 'batch'
      readonly head: ReadBatchHead
      /** Name of the file, and where in it the batch begins. */
      readonly file: string
      readonly position: number
      readonly records: readonly DumpedRecord[]
    }
  /** Bytes that were passed over (`to` exclusive); none where only offsets are missing. */
  | {
      readonly kind: 'damage'
      readonly file: string
      readonly from: number
      readonly to: number
      /** The records that should stand there; nothing where that is not known. */
      readonly lost: { readonly first: Offset; readonly next: Offset } | undefined
    }

/**
 * Batches in order, from the one that holds an offset on. The first may begin before it.
 *
 * @param folder of the log
 */
export async function* dumpLog(disk: Disk, folder: string, from: Offset): AsyncGenerator<Dumped> {
  const names = (await disk.list(folder)).filter((name) => /^\d{20}\.log$/.test(name))
  let next: Offset | undefined
  for (const [at, name] of names.entries()) {
    const following = names[at + 1]
    if (following !== undefined && firstOf(following) <= from) continue
    for await (const dumped of dumpSegment(disk, folder, name, from, next ?? firstOf(name))) {
      if (dumped.kind === 'batch') next = (dumped.head.firstOffset + dumped.head.count) as Offset
      else if (dumped.lost !== undefined) next = dumped.lost.next
      yield dumped
    }
  }
}

/** @param expected the offset that should come first, unless reading begins behind it */
async function* dumpSegment(
  disk: Disk,
  folder: string,
  name: string,
  from: Offset,
  expected: Offset,
): AsyncGenerator<Dumped> {
  const path = `${folder}/${name}`
  const file = await disk.open(path)
  try {
    const whole = await file.size()
    const trailer = await readTrailer(file, whole)
    const size = trailer?.bytes ?? whole
    const start = (await readSegmentHead(path, file, whole))?.bytes ?? 0
    const indexed = SparseIndex.of(trailer?.index ?? []).positionOf(from)
    const reader = new WindowReader(file, scanMemory(size))
    let position = Math.max(indexed ?? start, start)
    // In the middle of a file it is not known what should come first.
    let next: number | undefined = position === start ? expected : undefined
    while (position < size) {
      const batch = await reader.batchAt(position, size)
      if (batch === 'bad' || (next !== undefined && batch.head.firstOffset < next)) {
        const good = await nextGoodBatch(reader, position, next ?? 0, size)
        const until = good?.firstOffset ?? trailer?.next
        yield {
          kind: 'damage',
          file: name,
          from: position,
          to: good?.position ?? size,
          lost: lostOf(next, until, from),
        }
        if (good === undefined) return
        position = good.position
        next = good.firstOffset
        continue
      }
      const { firstOffset, count } = batch.head
      const lost = lostOf(next, firstOffset, from)
      if (lost !== undefined) yield { kind: 'damage', file: name, from: position, to: position, lost }
      next = firstOffset + count
      if (next > from) {
        const records = recordsOf(reader.bytes.subarray(batch.events, batch.end))
        yield { kind: 'batch', head: batch.head, file: name, position, records }
      }
      position += batch.end - batch.at
    }
    const lost = lostOf(next, trailer?.next, from)
    if (lost !== undefined) yield { kind: 'damage', file: name, from: size, to: size, lost }
  } finally {
    await file.close()
  }
}

/** What is missing, of what was asked for. */
function lostOf(first: number | undefined, next: number | undefined, from: Offset) {
  if (first === undefined || next === undefined) return undefined
  const begin = Math.max(first, from)
  return begin < next ? { first: begin as Offset, next: next as Offset } : undefined
}

function recordsOf(events: Buffer): DumpedRecord[] {
  const records: DumpedRecord[] = []
  const parser = new SseParser({ onEvent: ({ id, data }) => records.push({ id, data }) })
  // A line that begins with the mark is no beginning of a stream.
  parser.feed('\n')
  parser.feed(events.toString('utf8'))
  return records
}
