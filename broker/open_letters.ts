/** The dead letters of a topic that nobody has dealt with, read one by one. */

import { parseBatchHead } from '#wire/frames'
import type { Offset } from '#wire/ids'

import type { Log } from './log/log.ts'
import { textsOf } from './log/texts.ts'
import type { StoredBatch } from './log/types.ts'
import { deskGroup, type Topic } from './topic.ts'

const readBytes = 256 * 1024

/** A letter as it stands in the log; more fields may be in it. */
export interface Letter {
  readonly reason: string
  readonly row?: string
  readonly origin?: string
}

export interface Found {
  readonly log: Log
  readonly offset: Offset
  /** When it was written, in ms since 1970. */
  readonly atMs: number
  readonly letter: Letter
}

/** In the order of their logs. Whoever takes them may take their time between two. */
export async function* openLetters(dead: Topic): AsyncGenerator<Found> {
  for (const log of dead.logs) {
    const kept = dead.groups.named(deskGroup)?.progress(log.partition)
    const done = kept?.acknowledged ?? []
    let next = Math.max(log.first, kept?.floor ?? 0) as Offset
    for (let at = 0; next < log.end;) {
      // All of them before the first is given away: their memory is the ring's, which may come round meanwhile.
      const batches = (await log.read(next, readBytes)).map(readBatch)
      for (const { first, texts, atMs, end } of batches) {
        for (let offset = Math.max(next, first); offset < end; offset++) {
          while (at < done.length && (done[at]?.[1] ?? Infinity) <= offset) at++
          if ((done[at]?.[0] ?? Infinity) <= offset) continue
          yield { log, offset: offset as Offset, atMs, letter: JSON.parse(texts[offset - first] as string) as Letter }
        }
        next = end
      }
      if (batches.length === 0) break
    }
  }
}

/** A batch with nothing of the ring in it. */
function readBatch(batch: StoredBatch) {
  const { first, next: end, view } = batch
  const atMs = parseBatchHead(view.toString('latin1', 0, view.indexOf(10)))?.appendMs ?? 0
  return { first, end, texts: textsOf(batch), atMs }
}
