import { text } from 'node:stream/consumers'
import * as fc from 'fast-check'
import { test } from 'tap'
import { answer, listen, notedBackoff } from '#test/listen'
import type { Scope } from '#test/start'
import { Client, type Outgoing } from './client.ts'
import { addressesOf, readRing, type RingAnswer } from './ring.ts'

const partitions = 4

/** What a server does with a produce request. */
type Fate = 'write' | 'write-and-cut' | 'cut' | 'refuse' | 'not-mine' | 'nonsense'

interface World {
  readonly client: Client
  /** Lines in the logs, by broker. */
  readonly logs: readonly string[][]
  /** Requests to produce, by server: the two brokers, then the proxy. */
  readonly asked: number[]
  /** Times that the table was asked for. */
  tables: number
  ring: { version: string; owners: number[]; strict?: boolean; writable: boolean; ageMs: number }
  /** The n-th request (from 1) of a broker. */
  fateOf: (broker: number, nth: number) => Fate
}

/** Two brokers by the letter, and a proxy that sends everything to the owner, or to the other one when that does not write. */
async function worldOf(t: Scope): Promise<World> {
  const world: Omit<World, 'client'> & { client?: Client } = {
    logs: [[], []],
    asked: [0, 0, 0],
    tables: 0,
    ring: { version: 'a', owners: [0, 1, 0, 1], writable: true, ageMs: 60_000 },
    fateOf: () => 'write',
  }
  const expected = new Map<string, number>()
  const write = (broker: number, body: string, partition: number, headers: Record<string, unknown>): object => {
    const lines = body.split('\n').slice(0, -1)
    const key = `${broker}/${partition}/${String(headers['producer-id'])}`
    const sequence = Number(headers['producer-sequence'])
    if (sequence < (expected.get(key) ?? 0)) return { count: 0, duplicate: true }
    expected.set(key, sequence + lines.length)
    world.logs[broker]?.push(...lines)
    return { count: lines.length }
  }
  const partitionIn = (url = '/'): number => Number(new URL(url, 'http://x').searchParams.get('partition'))
  const brokers = await Promise.all(
    [0, 1].map((broker) =>
      listen(t, async (request, response) => {
        const body = await text(request)
        const fate = world.fateOf(broker, ++(world.asked as [number, number])[broker as 0])
        if (fate === 'cut') return void response.destroy()
        if (fate === 'refuse') return answer(response, 503, { code: 'not_writable', detail: '' })
        if (fate === 'not-mine') return answer(response, 404, { code: 'unknown_topic', detail: '' })
        if (fate === 'nonsense') return answer(response, 200, { hello: 'world' })
        const said = write(broker, body, partitionIn(request.url), request.headers)
        if (fate === 'write-and-cut') return void response.destroy()
        answer(response, 200, said)
      }),
    ),
  )
  const url = await listen(t, async (request, response) => {
    const { version, owners, strict, writable, ageMs } = world.ring
    if (request.url?.startsWith('/topics')) {
      return answer(response, 200, { topics: [{ name: 'telemetry', partitions, durability: 'disk' }] })
    }
    if (request.url?.startsWith('/ring')) {
      world.tables++
      const members = brokers.map((address, broker) => ({ broker, url: address, state: 'up', writable }))
      const topics = { telemetry: { partitions, owners, ...(strict === undefined ? {} : { strict }) } }
      return answer(response, 200, { version, complete: true, max_age_ms: ageMs, members, topics })
    }
    const body = await text(request)
    world.asked[2] = (world.asked[2] as number) + 1
    const partition = partitionIn(request.url)
    answer(response, 200, write(owners[partition] as number, body, partition, request.headers), {
      'penstock-ring': version,
    })
  })
  return Object.assign(world, { client: new Client({ url, straight: true, backoff: notedBackoff().backoff }) })
}

const numbered = (count: number, partition?: number): Outgoing[] =>
  Array.from({ length: count }, (_, n) => ({ data: `{"n":${n}}`, partition: partition ?? n % partitions }))

test('batches go to the owners, and none through the proxy', async (t) => {
  const world = await worldOf(t)
  await world.client.producer({ topic: 'telemetry' }).send(numbered(40))
  t.same([world.logs[0]?.length, world.logs[1]?.length], [20, 20])
  t.equal(world.asked[2], 0)
  t.equal(world.tables, 1)
})

test('an owner that does not take records is gone round at once, and left alone for a while', async (t) => {
  for (const fate of ['cut', 'refuse', 'not-mine', 'nonsense'] as const) {
    const world = await worldOf(t)
    world.fateOf = () => fate
    const producer = world.client.producer({ topic: 'telemetry', lingerMs: 0 })
    for (let n = 0; n < 5; n++) await producer.send(numbered(4))
    t.same([world.logs[0]?.length, world.logs[1]?.length], [10, 10], fate)
    t.ok((world.asked[0] as number) <= 2 && (world.asked[1] as number) <= 2, `${fate}: ${world.asked.join()}`)
  }
})

test('a batch whose answer is lost on the straight path is not written twice by the same broker', async (t) => {
  const world = await worldOf(t)
  world.fateOf = (_, nth) => (nth === 1 ? 'write-and-cut' : 'write')
  const producer = world.client.producer({ topic: 'telemetry' })
  await producer.send(numbered(10, 0))
  t.equal(world.asked[2], 1, 'sent again through the proxy')
  t.equal(world.logs[0]?.length, 10)
})

test('a table that is old corrects itself by what the proxy answers', async (t) => {
  const world = await worldOf(t)
  const producer = world.client.producer({ topic: 'telemetry', lingerMs: 0 })
  await producer.send(numbered(1, 0))
  // The ring changes: nobody tells the client, and broker 0 takes what it is sent until it is gone.
  world.ring = { ...world.ring, version: 'b', owners: [1, 1, 1, 1] }
  world.fateOf = (broker) => (broker === 0 ? 'cut' : 'write')
  for (let n = 1; world.asked[1] === 0; n++) await producer.send([{ data: `{"n":${n}}`, partition: 0 }])
  t.ok((world.asked[2] as number) > 0, 'through the proxy')
  t.equal(world.tables, 2)
  const all = world.logs.flat()
  t.equal(new Set(all).size, all.length)
})

test('what the table does not give away goes through the proxy: strict topics, members that do not write, a table of age', async (t) => {
  const changes = { strict: { strict: true }, writable: { writable: false }, age: { ageMs: 0 } }
  for (const [what, change] of Object.entries(changes)) {
    const world = await worldOf(t)
    Object.assign(world.ring, change)
    await world.client.producer({ topic: 'telemetry' }).send(numbered(8))
    t.same([world.asked[0], world.asked[1]], [0, 0], what)
    t.equal(world.logs.flat().length, 8, what)
  }
})

test('a server without a table is a broker: it gets everything, and is asked once', async (t) => {
  let tables = 0
  let lines = 0
  const url = await listen(t, async (request, response) => {
    const body = await text(request)
    if (request.url?.startsWith('/ring')) {
      tables++
      return answer(response, 404, { code: 'not_found', detail: '' })
    }
    const count = body.split('\n').length - 1
    lines += count
    answer(response, 200, { count })
  })
  const producer = new Client({ url, straight: true }).producer({ topic: 'telemetry', lingerMs: 0 })
  for (let n = 0; n < 5; n++) await producer.send(numbered(4))
  t.same({ tables, lines }, { tables: 1, lines: 20 })
})

test('whatever fails on the way, every record is written, and twice only on two brokers', async (t) => {
  const fates = fc.array(fc.constantFrom<Fate>('write', 'write-and-cut', 'cut', 'refuse', 'not-mine'), {
    minLength: 1,
    maxLength: 12,
  })
  const rings = fc.array(fc.array(fc.nat(1), { minLength: partitions, maxLength: partitions }), { maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(fates, rings, async (drawn, changes) => {
      const ended: (() => unknown)[] = []
      const world = await worldOf({ teardown: (callback) => void ended.push(callback) })
      world.fateOf = (_, nth) => drawn[nth % drawn.length] as Fate
      const producer = world.client.producer({ topic: 'telemetry', lingerMs: 0 })
      const sent: string[] = []
      for (let round = 0; round < 5; round++) {
        const owners = changes[round]
        if (owners !== undefined) world.ring = { ...world.ring, version: `${round}`, owners }
        const records = numbered(partitions).map(({ partition }) => ({ data: `${round}-${partition}`, partition }))
        await producer.send(records)
        sent.push(...records.map(({ data }) => data))
      }
      for (const end of ended) end()
      for (const log of world.logs) t.equal(new Set(log).size, log.length)
      t.strictSame([...new Set(world.logs.flat())].sort(), sent.sort())
    }),
    { numRuns: 10 },
  )
})

test('only an answer of a proxy is a table, and only members that are up and write are addresses', (t) => {
  for (const body of [undefined, null, 'x', {}, { version: 1 }, { topics: [] }]) t.equal(readRing(body), undefined)
  const member = (broker: number, state: string, writable: boolean) => ({ broker, url: `b${broker}`, state, writable })
  const ring: RingAnswer = {
    version: 'a',
    complete: true,
    max_age_ms: 5000,
    members: [member(0, 'up', true), member(1, 'down', true), member(2, 'up', false), member(3, 'draining', true)],
    topics: { telemetry: { partitions: 4, owners: [0, 1, 2, 3] } },
  }
  t.equal(readRing(ring), ring)
  t.strictSame(addressesOf(ring, 'telemetry'), ['b0', undefined, undefined, undefined])
  t.strictSame(addressesOf({ ...ring, complete: false }, 'telemetry'), [])
  t.strictSame(addressesOf(ring, 'transfers'), [])
  t.end()
})
