import fc from 'fast-check'
import { test } from 'tap'
import { gpuRecord } from '#store/samples'
import type { BatchPart, WriteBatch } from '#store/store'
import { halvesOf, recordsOf, without } from './pieces.ts'

/** Parts whose offsets are good, dead or missing. */
const part = fc
  .tuple(fc.constantFrom('a', 'b', 'c'), fc.array(fc.constantFrom('good', 'good', 'dead', 'none'), { maxLength: 12 }))
  .map(([logId, kinds]): BatchPart => {
    const at = (wanted: string): number[] => kinds.flatMap((kind, offset) => (kind === wanted ? [offset] : []))
    const offsets = at('good')
    const records = offsets.map((offset) => gpuRecord({ value: offset, uuid: logId }))
    return { logId, broker: 0, partition: 0, records, offsets, dead: at('dead'), next: kinds.length }
  })
const batch = fc.array(part, { maxLength: 5 }).map((parts): WriteBatch => ({ topic: 'telemetry', parts }))

/** What a batch says of each offset, in order. */
function told(batches: readonly WriteBatch[]): string[] {
  return batches.flatMap(({ parts }) =>
    parts.flatMap(({ logId, records, offsets, dead }) => [
      ...offsets.map((offset, index) => `${logId} ${offset} ${JSON.stringify(records[index])}`),
      ...dead.map((offset) => `${logId} ${offset} dead`),
    ]),
  )
}

/** Halves of halves, down to single records. */
function crumbsOf(whole: WriteBatch): WriteBatch[] {
  const halves = halvesOf(whole)
  return halves === undefined ? [whole] : halves.flatMap(crumbsOf)
}

test('halves are the batch again, each about half, and end where their log goes on', async (t) => {
  fc.assert(
    fc.property(batch, (whole) => {
      const crumbs = crumbsOf(whole)
      const [first, second] = halvesOf(whole) ?? []
      if (first !== undefined && second !== undefined) {
        const sizes = [recordsOf(first), recordsOf(second)] as const
        if (sizes[0] === 0 || Math.abs(sizes[0] - sizes[1]) > 1) return false
      }
      for (const { parts } of crumbs) {
        for (const { offsets, dead, next } of parts) {
          if (Math.max(-1, ...offsets, ...dead) >= next) return false
        }
      }
      return (
        crumbs.every((crumb) => recordsOf(crumb) <= 1) && String(told(crumbs).sort()) === String(told([whole]).sort())
      )
    }),
  )
  t.pass()
})

test('what is taken out is dead, the rest stays', async (t) => {
  fc.assert(
    fc.property(batch, fc.func(fc.boolean()), (whole, isOut) => {
      const refused = whole.parts.flatMap(({ logId, offsets }) =>
        offsets.filter((offset) => isOut(logId, offset)).map((offset) => ({ logId, offset, reason: 'test' })),
      )
      const expected = told([whole]).map((line) => {
        const [logId, offset] = line.split(' ')
        return refused.some((each) => each.logId === logId && String(each.offset) === offset)
          ? `${logId} ${offset} dead`
          : line
      })
      return String(told([without(whole, refused)]).sort()) === String(expected.sort())
    }),
  )
  t.pass()
})
