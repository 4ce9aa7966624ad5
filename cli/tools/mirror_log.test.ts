import fc from 'fast-check'
import { test } from 'tap'

import { Problem } from '#wire/problems'
import { Transport } from '#wire/transport'

import { type Delivered, MirrorLog, nextBatch } from './mirror_log.ts'
import { partitionAt } from './mirror_topic.ts'
import { partitionOfKey } from '#wire/ids'

const of = (sequence: number, data = `r${sequence}`): Delivered => ({ id: `0/0/${sequence}`, sequence, data })

/** What a broker does with numbered batches, and an answer that is lost now and then. */
class Target {
  readonly log: string[] = []
  readonly #lose: () => 'before' | 'after' | 'no'
  #expected = 0

  constructor(lose: () => 'before' | 'after' | 'no') {
    this.#lose = lose
  }

  readonly fetch: typeof fetch = async (_, init = {}) => {
    const lose = this.#lose()
    if (lose === 'before') throw new Error('cut on the way there')
    const answer = this.#take(
      Number(new Headers(init.headers).get('producer-sequence')),
      (init.body as string).split('\n'),
    )
    if (lose === 'after') throw new Error('cut on the way back')
    return answer
  }

  #take(sequence: number, lines: readonly string[]): Response {
    const end = sequence + lines.length
    if (end <= this.#expected) return Response.json({ count: 0, duplicate: true })
    if (sequence < this.#expected) {
      const overlap = new Problem('sequence_overlap', 'some of it is there', { expected: this.#expected })
      return Response.json(overlap.toJSON(), { status: overlap.status })
    }
    const bad = lines.findIndex((line) => line.startsWith('bad'))
    if (bad >= 0) {
      const refused = new Problem('record_too_large', 'too large', { line: bad + 1 })
      return Response.json(refused.toJSON(), { status: refused.status })
    }
    this.log.push(...lines)
    this.#expected = end
    return Response.json({ count: lines.length })
  }
}

function mirrorTo(target: Target, acknowledged: Set<number>, refused: number[]): MirrorLog {
  return new MirrorLog(
    {
      target: new Transport({ url: 'http://target', fetch: target.fetch, backoff: { sleep: async () => {} } }),
      topic: 't',
      isDead: false,
      partition: 0,
      producer: 'mirror-a',
    },
    {
      onForwarded: async (records) => records.forEach(({ sequence }) => acknowledged.add(sequence)),
      onRefused: async ({ sequence }) => void refused.push(sequence),
    },
    new AbortController().signal,
  )
}

test('whatever is lost, delivered again or begun anew: the target has each record once, in order', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom<'before' | 'after' | 'no'>('before', 'after', 'no', 'no'), { minLength: 1 }),
      // How many records each life of the mirror is given, and how many of them come once more meanwhile.
      fc.array(fc.tuple(fc.nat(12), fc.nat(4)), { minLength: 1, maxLength: 5 }),
      async (losses, lives) => {
        let at = 0
        const target = new Target(() => (at < losses.length ? (losses[at++] as 'no') : 'no'))
        const acknowledged = new Set<number>()
        let next = 0
        for (const [count, again] of lives) {
          // What no life before has acknowledged comes first, in other pieces than before, and some that were acknowledged.
          const queue = mirrorTo(target, acknowledged, [])
          const from = Math.max(0, next - again)
          next += count
          for (let n = from; n < next; n++) {
            queue.add(of(n), (error) => t.error(error))
            if (n % 3 === 0) await Promise.resolve()
          }
          for (let n = from; n < next; n += 2) queue.add(of(n), (error) => t.error(error))
          while (queue.waiting > 0) await new Promise((resolve) => setImmediate(resolve))
        }
        const all = Array.from({ length: next }, (_, n) => `r${n}`)
        t.strictSame(target.log, all)
        t.equal(acknowledged.size, next)
      },
    ),
    { numRuns: process.env['PENSTOCK_TEST_FULL'] === '1' ? 500 : 60 },
  )
})

test('a record that the target refuses for what it is costs none of its neighbours', async (t) => {
  const target = new Target(() => 'no')
  const acknowledged = new Set<number>()
  const refused: number[] = []
  const queue = mirrorTo(target, acknowledged, refused)
  for (const record of [of(0), of(1, 'bad'), of(2), of(3, 'bad'), of(4)]) queue.add(record, (error) => t.error(error))
  while (queue.waiting > 0) await new Promise((resolve) => setImmediate(resolve))
  t.strictSame(target.log, ['r0', 'r2', 'r4'])
  t.strictSame(refused, [1, 3])
})

test('a batch is what one request may hold: numbers in a row, and text of several lines alone', async (t) => {
  const sizes = (queue: Delivered[]) => nextBatch(queue).map(({ sequence }) => sequence)
  t.strictSame(sizes([of(4), of(5), of(7)]), [4, 5])
  t.strictSame(sizes([of(4), of(5, 'two\nlines'), of(6)]), [4])
  t.strictSame(sizes([of(5, 'two\nlines'), of(6)]), [5])
  t.strictSame(sizes([of(5, ''), of(6)]), [5])
  t.strictSame(sizes([of(5, 'x'.repeat(2 ** 20)), of(6)]), [5])
  t.equal(nextBatch(Array.from({ length: 9_000 }, (_, n) => of(n))).length, 5_000)
})

test('where the partitions of the target divide those of the source, a key stands where the target would put it', async (t) => {
  fc.assert(
    fc.property(fc.string(), fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 }), (key, count, times) => {
      t.equal(partitionAt(count, partitionOfKey(key, count * times)), partitionOfKey(key, count))
    }),
  )
})
