/** Taking a batch apart, because the store refuses something of it. Pure. */

import type { RefusedRecord } from '#store/errors'
import type { BatchPart, WriteBatch } from '#store/store'

export function recordsOf({ parts }: WriteBatch): number {
  return parts.reduce((sum, { records }) => sum + records.length, 0)
}

/**
 * Two batches that together are this one, to be written in this order; `undefined` where there is at most one record.
 *
 * What is dead goes with the records around it, so that the ledger hears of each log in order.
 */
export function halvesOf({ topic, parts }: WriteBatch): readonly [WriteBatch, WriteBatch] | undefined {
  const total = recordsOf({ topic, parts })
  if (total < 2) return undefined
  const middle = Math.floor(total / 2)
  const first: BatchPart[] = []
  const second: BatchPart[] = []
  let before = 0
  for (const part of parts) {
    const own = middle - before
    before += part.records.length
    if (own >= part.records.length) first.push(part)
    else if (own <= 0) second.push(part)
    else {
      const [head, tail] = cut(part, own)
      first.push(head)
      second.push(tail)
    }
  }
  return [
    { topic, parts: first },
    { topic, parts: second },
  ]
}

/** The first `count` records of a part, and the rest. */
function cut(part: BatchPart, count: number): readonly [BatchPart, BatchPart] {
  const { records, offsets, dead } = part
  const next = (offsets[count - 1] as number) + 1
  return [
    {
      ...part,
      records: records.slice(0, count),
      offsets: offsets.slice(0, count),
      dead: dead.filter((offset) => offset < next),
      next,
    },
    {
      ...part,
      records: records.slice(count),
      offsets: offsets.slice(count),
      dead: dead.filter((offset) => offset >= next),
    },
  ]
}

/** The batch with some of its records dead. */
export function without({ topic, parts }: WriteBatch, refused: readonly RefusedRecord[]): WriteBatch {
  const out = new Set(refused.map(({ logId, offset }) => `${logId}/${offset}`))
  return {
    topic,
    parts: parts.map((part) => {
      const { logId, records, offsets, dead } = part
      const isIn = (offset: number): boolean => !out.has(`${logId}/${offset}`)
      const gone = offsets.filter((offset) => !isIn(offset))
      if (gone.length === 0) return part
      return {
        ...part,
        records: records.filter((_, index) => isIn(offsets[index] as number)),
        offsets: offsets.filter(isIn),
        dead: [...dead, ...gone].sort((a, b) => a - b),
      }
    }),
  }
}
