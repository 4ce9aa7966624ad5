/** How a piece of work meets what a read has found of it: the same for a stream and for a pull. */

import { formatId, type Offset } from '#wire/ids'

import type { Work } from './groups/group.ts'
import type { Session } from './groups/session.ts'
import type { Log } from './log/log.ts'
import type { StoredBatch } from './log/types.ts'

/** Offsets that hold no record, as a reader is told of them. Both ids are inclusive. */
export interface Gap {
  readonly first: string
  readonly last: string
  readonly reason: string
}

/**
 * Takes what was read as delivered, piece by piece; false when the work was not this session's any more.
 *
 * @param end the end of the log when it was read
 * @param send sends the records of a batch from where the work begins up to `next`, or tells that there are none where there is
 *   no batch; see {@link tellLost}
 */
export function deliver(
  session: Session,
  work: Work,
  batches: readonly StoredBatch[],
  end: Offset,
  send: (work: Work, next: Offset, batch: StoredBatch | undefined) => void,
): boolean {
  if (batches.length === 0) {
    // Nothing is left of what was to come: damage at the end of a closed segment, or before records not yet written.
    const until = Math.min(end, work.until) as Offset
    if (!session.delivered(work, until)) return false
    send(work, until, undefined)
    return true
  }
  let at = work
  for (const batch of batches) {
    const next = Math.min(batch.next, at.until) as Offset
    if (!session.delivered(at, next)) return false
    // None of what was to come again is there any more.
    const isGone = batch.first >= at.until
    send(at, next, isGone ? undefined : batch)
    if (isGone) break
    const following = session.takesTurns ? undefined : session.next(at.partition)
    // A piece may end within a batch, and the next begin there.
    if (next < batch.next || following?.from !== next) break
    at = following
  }
  return true
}

/** Tells of what is not there of a piece of work, up to an offset: in order, once a reason. */
export function tellLost(session: Session, log: Log, work: Work, to: Offset, tell: (gap: Gap) => void): void {
  for (const each of work.gone ?? []) tellRange(session, log, each.from, each.to, tell)
  if (work.from < to) tellRange(session, log, work.from, to, tell)
}

function tellRange(session: Session, log: Log, from: Offset, to: Offset, tell: (gap: Gap) => void): void {
  const id = (offset: number): string => formatId(log.broker, log.partition, offset as Offset)
  for (const { first, next, reason } of log.lostBetween(from, to)) {
    tell({ first: id(first), last: id(next - 1), reason })
  }
  session.lost(log.partition, from, to)
}
