import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { RefusedRecords, StoreError } from '#store/errors'
import { Problem } from '#wire/problems'
import { benchOf, good, logId, message, ofSecondLog, recordText } from './fakes.ts'

test('records are written, and acknowledged after that', async (t) => {
  const bench = await benchOf(t)
  const { running } = bench.start()
  bench.broker.deliver([good(0), good(1)])
  await bench.until(() => bench.broker.floor === 2)
  t.same(bench.events, ['write 0-1', 'ack 0/0/1'])
  bench.stop.abort()
  await running
  t.match(await bench.store.totals(), { received: 2, stored: 2 })
})

test('a broker that does not take its acknowledgement holds up those of no other', async (t) => {
  const bench = await benchOf(t)
  const { running } = bench.start()
  const answered = Promise.withResolvers<void>()
  const { ack } = bench.broker
  bench.broker.logs.set('1/0', { logId: 'c'.repeat(16) })
  const ofOther = (offset: number) => ({ ...good(offset), id: `1/0/${offset}`, broker: 1 })
  bench.broker.ack = async (upTo) => {
    if (upTo.some((id) => id.startsWith('1/'))) await answered.promise
    return ack.call(bench.broker, upTo)
  }
  bench.broker.deliver([good(0), ofOther(0)])
  await bench.until(() => bench.events.includes('ack 0/0/0'))
  bench.broker.deliver([good(1), ofOther(1)])
  await bench.until(() => bench.events.includes('ack 0/0/1'))
  t.notOk(bench.events.includes('ack 1/0/0'))
  answered.resolve()
  await bench.until(() => bench.events.includes('ack 1/0/1'))
  bench.stop.abort()
  await running
})

test('a stop writes and acknowledges what has arrived, while the stream is open', async (t) => {
  const bench = await benchOf(t, { waitMs: 60_000 })
  const { running, collector } = bench.start()
  bench.broker.deliver([good(0)])
  await bench.until(() => collector.pending === 1)
  bench.stop.abort()
  await running
  t.equal(bench.broker.floor, 1)
  t.ok(bench.broker.isOpen)
  t.equal(collector.pending, 0)
})

test('while the store is away nothing is acknowledged and what is read is bounded; then all is written', async (t) => {
  const bench = await benchOf(t, { records: 2 })
  const { running, collector, gate } = bench.start()
  bench.fail = () => new StoreError('locked', 'test')
  for (let offset = 0; offset < 20; offset++) bench.broker.deliver([good(offset)])
  await bench.until(() => bench.failures > 5)
  t.equal(bench.broker.floor, 0)
  t.equal(collector.pending, 10, 'a batch that is being written, and four that wait')
  t.match(gate.trouble, /^test/)
  bench.fail = () => undefined
  await bench.until(() => bench.broker.floor === 20)
  t.equal(gate.trouble, undefined)
  bench.stop.abort()
  await running
  t.match(await bench.store.totals(), { received: 20, stored: 20 })
})

test('while the store is away the broker is asked for more time, each third of it, and no more once all is settled', async (t) => {
  const bench = await benchOf(t)
  const { running, clock } = bench.start()
  bench.fail = () => new StoreError('locked', 'test')
  bench.broker.deliver([good(0), good(1)])
  const failedAgain = async (): Promise<void> => {
    const before = bench.failures
    await bench.until(() => bench.failures > before + 2)
  }
  await failedAgain()
  t.same(bench.broker.extended, [])
  for (let third = 1; third <= 4; third++) {
    clock.advance(10_000)
    await bench.until(() => bench.broker.extended.length === third)
    await failedAgain()
    t.same(bench.broker.extended.length, third)
  }
  t.equal(bench.broker.extended[0], '0/0/1')
  bench.fail = () => undefined
  await bench.until(() => bench.broker.floor === 2)
  clock.advance(60_000)
  bench.broker.deliver([good(2)])
  await bench.until(() => bench.broker.floor === 3)
  t.equal(bench.broker.extended.length, 4)
  bench.stop.abort()
  await running
})

test('what the store refuses is found, and dead with its reason; all its neighbours are stored', async (t) => {
  for (const isTold of [true, false]) {
    const bench = await benchOf(t)
    const isBad = (offset: number): boolean => offset === 0 || offset === 17 || offset === 18
    bench.refused = (batch) => {
      const bad = batch.parts.flatMap(({ offsets }) => offsets.filter(isBad))
      if (bad.length === 0) return undefined
      const records = bad.map((offset) => ({ logId, offset, reason: `no ${offset}` }))
      return isTold ? new RefusedRecords('test', records) : new StoreError('refused', `test: one of ${bad.join()}`)
    }
    const { running } = bench.start()
    bench.broker.deliver(Array.from({ length: 40 }, (_, n) => (n === 30 ? message(n, 'no record') : good(n))))
    await bench.until(() => bench.broker.floor === 40)
    bench.stop.abort()
    await running
    t.match(await bench.store.totals(), { received: 40, stored: 36, dead: 4 })
    const letters = bench.letters.toSorted((a, b) => Number(a.origin.slice(4)) - Number(b.origin.slice(4)))
    t.match(letters, [
      { origin: '0/0/0', reason: isTold ? /^no 0$/ : /one of 0/, row: recordText(0) },
      { origin: '0/0/17', reason: isTold ? /^no 17$/ : /one of 17/ },
      { origin: '0/0/18' },
      { origin: '0/0/30', reason: /^not JSON/ },
    ])
  }
})

test('a log whose write takes long, and one of which something is refused, do not hold up another', async (t) => {
  const bench = await benchOf(t, { records: 3, writesAtOnce: 2 })
  const held = Promise.withResolvers<void>()
  bench.before = async ({ parts }) => (parts.some(({ partition }) => partition === 1) ? held.promise : undefined)
  bench.refused = ({ parts }) => {
    const bad = parts.some(({ partition, offsets }) => partition === 1 && offsets.includes(1))
    return bad ? new StoreError('refused', 'test: no 1') : undefined
  }
  const { running, collector } = bench.start()
  bench.broker.deliver([0, 1, 2].map((offset) => ofSecondLog(offset)))
  await bench.until(() => bench.writes === 1)
  for (let offset = 0; offset < 9; offset++) bench.broker.deliver([good(offset)])
  await bench.until(() => bench.broker.floor === 9)
  t.equal(collector.pending, 3, 'the first write')
  bench.stop.abort()
  held.resolve()
  await running
  t.same(
    bench.events.filter((event) => event.startsWith('ack')),
    ['ack 0/0/2', 'ack 0/0/5', 'ack 0/0/8', 'ack 0/1/2'],
    'each log in its order, and the stop flushes what was under way',
  )
  t.match(await bench.store.totals(), { received: 12, stored: 11, dead: 1 })
})

test('a store that no waiting mends ends the collector', async (t) => {
  const bench = await benchOf(t)
  const { running } = bench.start()
  bench.fail = () => new StoreError('corrupt', 'test')
  bench.broker.deliver([good(0)])
  await t.rejects(running, { code: 'corrupt' })
  t.equal(bench.broker.floor, 0)
})

test('a stop does not wait for a store that fails', async (t) => {
  const bench = await benchOf(t)
  const { running } = bench.start()
  bench.fail = () => new StoreError('disk_full', 'test')
  bench.broker.deliver([good(0)])
  await bench.until(() => bench.failures > 2)
  bench.stop.abort()
  await running
  t.equal(bench.broker.floor, 0)
})

test('what is no record is with the dead letters before it is acknowledged, its neighbours are stored', async (t) => {
  const bench = await benchOf(t)
  const { running } = bench.start()
  bench.broker.deliver([good(0), message(1, '{"kind":"gpu"}'), good(2)])
  await bench.until(() => bench.broker.floor === 3)
  bench.stop.abort()
  await running
  t.same(bench.events, ['dead 0/0/1', 'write 0-2', 'ack 0/0/2'])
  t.match(bench.letters, [{ reason: /^time is missing/, row: '{"kind":"gpu"}', origin: '0/0/1', group: 'collector' }])
  t.match(await bench.store.totals(), { received: 3, stored: 2, dead: 1 })
})

test('a letter that the broker refuses goes without its row, the others whole', async (t) => {
  const bench = await benchOf(t)
  const { running } = bench.start()
  const huge = 'x'.repeat(5000)
  bench.refuse = (letters) => letters.some(({ row }) => row === huge)
  bench.broker.deliver([message(0, 'a'), message(1, huge), message(2, 'b')])
  await bench.until(() => bench.broker.floor === 3)
  bench.stop.abort()
  await running
  t.match(bench.letters, [
    { row: 'a' },
    { row: '', reason: /^not JSON.*without its row: record_too_large/ },
    { row: 'b' },
  ])
})

test('the end of the subscription is told, after what has arrived is written', async (t) => {
  const bench = await benchOf(t, { waitMs: 60_000 })
  const { running } = bench.start()
  bench.broker.deliver([good(0)])
  bench.broker.break(new Problem('unknown_topic', 'telemetry'))
  await t.rejects(running, { code: 'unknown_topic' })
  t.equal(bench.broker.floor, 1)
})

test('whatever fails, and wherever it is killed, the store and its sum are exact', async (t) => {
  const chunk = fc.record({ count: fc.integer({ min: 1, max: 5 }), fails: fc.nat(2) })
  const session = fc.record({ chunks: fc.array(chunk, { maxLength: 6 }), losesAcks: fc.boolean() })
  const kinds = fc.array(fc.constantFrom('good', 'good', 'same', 'null', 'bad'), { minLength: 40, maxLength: 40 })
  const property = fc.asyncProperty(kinds, fc.array(session, { minLength: 1, maxLength: 4 }), async (log, sessions) => {
    const bench = await benchOf(t, { records: 3 })
    const records = log.map((kind, offset) => {
      if (kind === 'bad') return message(offset, `bad ${offset}`)
      if (kind === 'same') return good(0, offset)
      return kind === 'null' ? message(offset, recordText(offset, null)) : good(offset)
    })
    let delivered = 0
    for (const { chunks, losesAcks } of sessions) {
      // Each session is a process: it begins where the broker's group stands, and ends without a word.
      bench.broker.reopen(losesAcks)
      const { running } = bench.start()
      let at = bench.broker.floor
      for (const { count, fails } of chunks) {
        let left = fails
        bench.fail = () => (left-- > 0 ? new StoreError('locked', 'test') : undefined)
        bench.broker.deliver(records.slice(at, at + count))
        at = Math.min(at + count, log.length)
        await bench.until(() => bench.written >= at || at === bench.broker.floor)
      }
      delivered = Math.max(delivered, at)
      bench.stop.abort()
      await running
      bench.stop = new AbortController()
      const totals = await bench.store.totals()
      const { received, stored, duplicate, not_reported, dead } = totals
      assert.equal(received, delivered)
      assert.equal(received, stored + duplicate + not_reported + dead)
      const seen = log.slice(0, delivered)
      assert.equal(dead, seen.filter((kind) => kind === 'bad').length)
      assert.deepEqual(
        new Set(bench.letters.map(({ origin }) => origin)),
        new Set(seen.flatMap((kind, offset) => (kind === 'bad' ? [`0/0/${offset}`] : []))),
      )
      assert.equal(bench.letters.length, dead, 'a letter for each, and no more')
    }
    await bench.store.close()
  })
  await fc.assert(property, { numRuns: 25 })
})
