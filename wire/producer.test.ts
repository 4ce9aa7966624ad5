import { getEventListeners } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import * as fc from 'fast-check'
import { test } from 'tap'
import { answer, listen, notedBackoff } from '#test/listen'
import type { Scope } from '#test/start'
import { Client, Problem, type ClientOptions, type Outgoing, type ProducerOptions } from './client.ts'
import { partitionOfKey } from './ids.ts'

/** One produce request as it came. */
interface Arrival {
  readonly partition: number
  readonly sequence: number
  readonly lines: readonly string[]
  readonly headers: IncomingMessage['headers']
}

/**
 * What becomes of a request: served (`undefined`), cut before, after or in the middle of its writing, answered otherwise,
 * or held until a promise says which.
 */
type Fate = undefined | 'cut' | 'write-and-cut' | 'write-half-and-cut' | ((response: ServerResponse) => void)

interface FakeBroker {
  readonly url: string
  readonly arrivals: Arrival[]
  /** Records by partition. */
  readonly logs: Map<number, string[]>
  /** Resolves with the n-th request (from 1), once it has come. */
  arrived(n: number): Promise<Arrival>
}

const partitions = 3

/** A broker by the letter of docs/PROTOCOL.md, "Produce", which fails as told. */
async function fakeBroker(
  t: Scope,
  fateOf: (arrival: Arrival, nth: number) => Fate | Promise<Fate> = () => undefined,
): Promise<FakeBroker> {
  const arrivals: Arrival[] = []
  const logs = new Map<number, string[]>()
  const expected = new Map<string, number>()
  const waiting: (() => void)[] = []

  const url = await listen(t, async (request, response) => {
    const body = await text(request)
    const asked = new URL(request.url ?? '/', 'http://broker')
    if (asked.pathname === '/topics') {
      return answer(response, 200, { topics: [{ name: 'telemetry', partitions, durability: 'disk' }] })
    }
    const partition = Number(asked.searchParams.get('partition'))
    const sequence = Number(request.headers['producer-sequence'])
    const lines = body.split('\n').slice(0, -1)
    const arrival = { partition, sequence, lines, headers: request.headers }
    arrivals.push(arrival)
    for (const wake of waiting.splice(0)) wake()
    const fate = await fateOf(arrival, arrivals.length)
    if (typeof fate === 'function') return fate(response)
    if (fate === 'cut') return void response.destroy()

    const producer = `${String(request.headers['producer-id'])}/${partition}`
    const next = expected.get(producer) ?? 0
    if (sequence < next && sequence + lines.length > next) {
      return answer(response, 409, { code: 'sequence_overlap', detail: '', expected: next })
    }
    const duplicate = sequence < next
    if (!duplicate) {
      const written = fate === 'write-half-and-cut' ? lines.slice(0, (lines.length + 1) >> 1) : lines
      logs.set(partition, [...(logs.get(partition) ?? []), ...written])
      expected.set(producer, sequence + written.length)
    }
    if (fate !== undefined) return void response.destroy()
    answer(response, 200, {
      count: duplicate ? 0 : lines.length,
      durability: 'disk',
      ...(duplicate ? { duplicate } : {}),
    })
  })
  return {
    url,
    arrivals,
    logs,
    async arrived(n) {
      while (arrivals.length < n) await new Promise<void>((resolve) => waiting.push(resolve))
      return arrivals[n - 1] as Arrival
    },
  }
}

/** A producer whose waits between tries are noted and take no time. */
function producerFor(broker: FakeBroker, options: Partial<ProducerOptions> = {}, client: Partial<ClientOptions> = {}) {
  const { waits, backoff } = notedBackoff()
  const producer = new Client({ url: broker.url, backoff, ...client }).producer({ topic: 'telemetry', ...options })
  return { producer, waits }
}

const numbered = (count: number, partition: number, first = 0): Outgoing[] =>
  Array.from({ length: count }, (_, at) => ({ data: `{"n":${first + at}}`, partition }))
const dataOf = (records: readonly Outgoing[]): string[] => records.map(({ data }) => data)

function refusal(status: number, body: object, headers: Record<string, string> = {}): Fate {
  return (response) => answer(response, status, body, headers)
}

/** The code of the problem that a promise rejects with. */
async function codeOf(promise: Promise<unknown>): Promise<string> {
  const codeIn = (error: unknown): string => (error instanceof Problem ? error.code : String(error))
  return promise.then(() => 'none', codeIn)
}

test('records are batched, numbered, and go where their key says', async (t) => {
  const broker = await fakeBroker(t)
  const { producer } = producerFor(broker, { producerId: 'me' }, { token: 'secret' })
  const keys = ['GPU-a', 'GPU-b', 'GPU-c', 'GPU-d']
  const records = Array.from({ length: 40 }, (_, n) => ({ data: `{"n":${n}}`, key: keys[n % 4] as string }))
  await Promise.all([producer.send(records.slice(0, 15)), producer.send(records.slice(15))])
  for (let partition = 0; partition < partitions; partition++) {
    const mine = records.filter(({ key }) => partitionOfKey(key, partitions) === partition)
    t.same(broker.logs.get(partition) ?? [], dataOf(mine), `partition ${partition}, in order`)
  }
  t.ok(broker.arrivals.length <= partitions, 'a request a partition')
  t.match(broker.arrivals[0]?.headers, {
    authorization: 'Bearer secret',
    'content-type': 'application/x-ndjson',
    'producer-id': 'me',
    'producer-sequence': '0',
  })
  t.equal(producer.acknowledged, 40)
  t.equal(producer.bufferedBytes, 0)
  await producer.send([{ data: 'a' }, { data: 'b' }])
  await producer.send([{ data: 'c' }])
  const [last, before] = [broker.arrivals.at(-1), broker.arrivals.at(-2)]
  t.same([before?.lines, last?.lines], [['a', 'b'], ['c']])
  t.not(last?.partition, before?.partition, 'without a key the partitions take turns')
})

test('whatever is cut, every record is written once and in order', async (t) => {
  const fates = fc.constantFrom<Fate>(undefined, 'cut', 'write-and-cut', 'write-half-and-cut', refusal(503, {}))
  const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 12 })
  const property = fc.asyncProperty(sizes, fc.array(fates, { maxLength: 25 }), async (sizes, fates) => {
    const broker = await fakeBroker(t, (_, nth) => fates[nth - 1])
    const { producer } = producerFor(broker, { lingerMs: 0, batchBytesMax: 60 })
    let sent: readonly Outgoing[] = []
    const sends = sizes.map((size, turn) => {
      const records = numbered(size, turn % 2, sent.length)
      sent = [...sent, ...records]
      return producer.send(records)
    })
    await Promise.all(sends)
    const want = [0, 1].map((partition) => dataOf(sent.filter((record) => record.partition === partition)))
    const got = [0, 1].map((partition) => broker.logs.get(partition) ?? [])
    return JSON.stringify(got) === JSON.stringify(want)
  })
  await fc.assert(property, { numRuns: 25 })
})

test('a lost answer: the same bytes with the same number again', async (t) => {
  const broker = await fakeBroker(t, (_, nth) => (nth === 1 ? 'write-and-cut' : undefined))
  const warnings: string[] = []
  const { producer, waits } = producerFor(broker, {}, { onWarning: (line) => warnings.push(line) })
  await producer.send(numbered(5, 1))
  const [first, second] = broker.arrivals
  t.same([second?.sequence, second?.lines], [first?.sequence, first?.lines])
  t.same(broker.logs.get(1), dataOf(numbered(5, 1)))
  t.same(waits, [50], 'half of 100 ms')
  t.match(warnings, [/^5 records for telemetry\/1: try 1: .*again in 50 ms$/])
})

test('a part that is known already is left out', async (t) => {
  const broker = await fakeBroker(t, (_, nth) => (nth === 1 ? 'write-half-and-cut' : undefined))
  const { producer } = producerFor(broker)
  await producer.send(numbered(5, 0))
  t.same(
    broker.arrivals.map(({ sequence, lines }) => [sequence, lines.length]),
    [
      [0, 5],
      [0, 5],
      [3, 2],
    ],
  )
  t.same(broker.logs.get(0), dataOf(numbered(5, 0)))
  t.equal(producer.acknowledged, 5)
})

test('a later life goes on with its numbers', async (t) => {
  const broker = await fakeBroker(t)
  const first = producerFor(broker, { producerId: 'me' }).producer
  const sent = first.send(numbered(4, 2))
  t.same(first.sequences(), { 2: 4 }, 'given before send returns')
  await sent
  const second = producerFor(broker, { producerId: 'me', sequences: { 0: 7, 2: 2 } }).producer
  t.same(second.sequences(), { 0: 7, 2: 2 })
  await second.send(numbered(4, 2, 2))
  t.same(broker.logs.get(2), dataOf(numbered(6, 2)), 'two were known, two are new')
  t.same(second.sequences(), { 0: 7, 2: 6 })
})

test('one request at a time for a partition, partitions side by side', async (t) => {
  const gate = Promise.withResolvers<Fate>()
  const broker = await fakeBroker(t, (_, nth) => (nth <= 2 ? gate.promise : undefined))
  const { producer } = producerFor(broker, { lingerMs: 0 })
  const sends = [producer.send(numbered(1, 0)), producer.send(numbered(1, 1))]
  await broker.arrived(2)
  sends.push(producer.send(numbered(1, 0, 1)), producer.send(numbered(1, 0, 2)))
  void producer.flush()
  sends.push(producer.send(numbered(1, 2)))
  t.equal((await broker.arrived(3)).partition, 2, 'only a third partition gets through')
  gate.resolve(undefined)
  await Promise.all(sends)
  t.same(broker.arrivals.at(-1)?.lines, ['{"n":1}', '{"n":2}'], 'what queued up meanwhile goes together')
})

test('calls that wait for the number of partitions keep their order', async (t) => {
  const broker = await fakeBroker(t)
  const { producer } = producerFor(broker)
  const sends: Promise<void>[] = []
  for (let n = 0; n < 10; n++) sends.push(producer.send([{ data: String(n), key: 'k' }]))
  await Promise.all(sends)
  t.same([...broker.logs.values()], [['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']])
})

test('a server that asks for time gets it', async (t) => {
  const full = { code: 'partition_full', detail: '', retry_after_s: 3 }
  const fates = [
    refusal(429, full),
    refusal(429, { code: 'partition_full', detail: '' }, { 'retry-after': '7' }),
    // A gateway's own refusals.
    (response: ServerResponse) => void response.writeHead(429, { 'retry-after': '2' }).end('<h1>slow down</h1>'),
    (response: ServerResponse) => void response.writeHead(502).end('<h1>bad gateway</h1>'),
    (response: ServerResponse) => void response.writeHead(200).end('<h1>welcome</h1>'),
    refusal(200, {}),
    (response: ServerResponse) => void response.writeHead(200).end(),
  ]
  const broker = await fakeBroker(t, (_, nth) => fates[nth - 1])
  const { producer, waits } = producerFor(broker)
  await producer.send(numbered(2, 0))
  t.same(waits, [3050, 7100, 2200, 400, 800, 1600, 3200], 'the time asked for, and the jitter on top')
  t.same(broker.logs.get(0), dataOf(numbered(2, 0)))
})

test('a bad record refuses its own send and no other', async (t) => {
  const broker = await fakeBroker(t, ({ lines }) => {
    const line = lines.findIndex((data) => data.includes('bad')) + 1
    return line === 0 ? undefined : refusal(400, { code: 'bad_record', detail: `line ${line}`, line })
  })
  const { producer } = producerFor(broker)
  const good = [numbered(2, 0), numbered(2, 0, 2), numbered(1, 0, 9)]
  const bad = [
    { data: '{"n":4}', partition: 0 },
    { data: 'bad', partition: 0 },
    { data: '{"n":5}', partition: 0 },
  ]
  const sends = [good[0], bad, good[1], [{ data: 'bad too', partition: 0 }], good[2]]
  const codes = await Promise.all(sends.map((records) => codeOf(producer.send(records as Outgoing[]))))
  t.same(codes, ['none', 'bad_record', 'none', 'bad_record', 'none'])
  t.same(broker.logs.get(0), ['{"n":0}', '{"n":1}', '{"n":4}', '{"n":5}', '{"n":2}', '{"n":3}', '{"n":9}'])
  t.equal(producer.bufferedBytes, 0)
  t.equal(producer.acknowledged, 7)
})

test('the caller is told which records of a call are to blame', async (t) => {
  const broker = await fakeBroker(t, ({ lines }) => {
    const line = lines.indexOf('bad') + 1
    return line === 0 ? undefined : refusal(413, { code: 'record_too_large', detail: 'too long', line })
  })
  const records = ['a', 'bad', 'b', 'c', 'bad', 'bad', 'd'].map((data, at) => ({ data, partition: at % 2 }))
  const expected = { code: 'record_too_large', extra: { refused: [1, 4, 5] } }
  await t.rejects(producerFor(broker).producer.send(records), expected)
  const sent = broker.arrivals.filter(({ lines }) => !lines.includes('bad'))
  const shown = sent.map(({ sequence, lines }) => `${sequence}: ${lines.join(' ')}`).toSorted()
  t.same(shown, ['0: a b', '1: c', '3: d'], 'their numbers are given to no other')
})

test('nothing is written behind a batch that is lost', async (t) => {
  const forbidden = refusal(403, { code: 'forbidden', detail: 'a gateway does not like it' })
  const broker = await fakeBroker(t, ({ lines }) => (lines[0] === 'a' ? forbidden : undefined))
  const options = { producerId: 'p', lingerMs: 0 }
  const { producer } = producerFor(broker, options)
  const sequences = producer.sequences()
  t.equal(await codeOf(producer.send([{ data: 'a', partition: 0 }])), 'forbidden')
  t.equal(await codeOf(producer.send([{ data: 'b', partition: 0 }])), 'forbidden')
  await producer.send([{ data: 'other', partition: 1 }])
  t.same([broker.logs.get(0), broker.logs.get(1)], [undefined, ['other']])
  // The next life: its first record must not look like one that was written.
  const next = producerFor(broker, { ...options, sequences }).producer
  await next.send(['A', 'b'].map((data) => ({ data, partition: 0 })))
  t.same(broker.logs.get(0), ['A', 'b'])
})

test('what would be no record of its own is refused before it is numbered', async (t) => {
  const broker = await fakeBroker(t)
  const { producer } = producerFor(broker)
  const attempts = ['a\nid: 9/9/9', '\n', '', ' ', '\r', '\t \r', '\uFEFF'].map((data) =>
    codeOf(
      producer.send([
        { data: 'ok', partition: 0 },
        { data, partition: 0 },
      ]),
    ),
  )
  t.same(new Set(await Promise.all(attempts)), new Set(['bad_record']))
  t.same(producer.sequences(), {})
  await producer.send([])
  t.equal(broker.arrivals.length, 0)
  t.throws(() => producerFor(broker, { producerId: 'a b' }), { code: 'bad_name' })
})

test('a body that is too large is halved, and the next ones are smaller', async (t) => {
  const tooLarge = (response: ServerResponse) => void response.writeHead(413).end('<h1>nginx</h1>')
  const broker = await fakeBroker(t, ({ lines }) => (lines.join('\n').length > 40 ? tooLarge : undefined))
  const { producer } = producerFor(broker)
  const huge = { data: 'x'.repeat(50), partition: 0 }
  const codes = await Promise.all([
    codeOf(producer.send(numbered(12, 0))),
    codeOf(producer.send([huge])),
    codeOf(producer.send(numbered(3, 0, 12))),
  ])
  t.same(codes, ['none', 'body_too_large', 'none'], 'one that is too large by itself takes no other with it')
  t.same(broker.logs.get(0), dataOf(numbered(15, 0)))
  const before = broker.arrivals.length
  await producer.send(numbered(20, 0, 15))
  t.same(broker.logs.get(0), dataOf(numbered(35, 0)))
  t.ok(
    broker.arrivals.slice(before).every(({ lines }) => lines.length < 20),
    'it has learned',
  )
})

test('what refuses a batch refuses what waits behind it, at once', async (t) => {
  const broker = await fakeBroker(t, () => refusal(401, { code: 'unauthorized', detail: '' }))
  const { producer, waits } = producerFor(broker, { batchBytesMax: 10 })
  t.equal(await codeOf(producer.send(numbered(4, 0))), 'unauthorized')
  t.equal(broker.arrivals.length, 1)
  t.same(waits, [])
  const stranger = producerFor(broker, { topic: 'telemtry' }).producer
  await t.rejects(stranger.send([{ data: 'a' }]), { code: 'unknown_topic', message: /there are telemetry/ })
})

test('it gives up after the time that it was given', async (t) => {
  const broker = await fakeBroker(t, () => 'cut')
  const { producer } = producerFor(broker, { retryForMs: 0 })
  t.equal(await codeOf(producer.send(numbered(1, 0))), 'unavailable')
})

test('flush does not linger, close lets nothing in', async (t) => {
  const broker = await fakeBroker(t)
  const stop = new AbortController()
  const { producer } = producerFor(broker, { lingerMs: 3_600_000, signal: stop.signal })
  const sends = [producer.send(numbered(1, 0)), producer.send([{ data: 'waits for the partitions' }])]
  await producer.flush()
  await Promise.all(sends)
  sends.push(producer.send(numbered(1, 0, 1)))
  await producer.close()
  await Promise.all(sends)
  t.equal(broker.logs.get(0)?.filter((data) => data.startsWith('{')).length, 2)
  t.equal(await codeOf(producer.send(numbered(1, 0, 2))), 'stopping')
  t.equal(getEventListeners(stop.signal, 'abort').length, 0, 'a signal that lives longer keeps nothing of it')
})

test('ready holds the caller back until there is room', async (t) => {
  const gate = Promise.withResolvers<Fate>()
  const broker = await fakeBroker(t, () => gate.promise)
  const { producer } = producerFor(broker, { lingerMs: 0, bufferedBytesMax: 10 })
  await producer.ready()
  const sent = producer.send(numbered(2, 0))
  let isReady = false
  const ready = producer.ready().then(() => (isReady = true))
  await broker.arrived(1)
  t.notOk(isReady)
  t.equal(producer.bufferedBytes, 14)
  gate.resolve(undefined)
  await ready
  await sent
  t.equal(producer.bufferedBytes, 0)
})

test('an abort gives up everything that is not acknowledged', async (t) => {
  const broker = await fakeBroker(t, ({ partition }) => (partition === 0 ? new Promise<Fate>(() => {}) : undefined))
  const stop = new AbortController()
  const { producer } = producerFor(broker, { lingerMs: 3_600_000, bufferedBytesMax: 1, signal: stop.signal })
  const sends = [producer.send(numbered(1, 0)), producer.send(numbered(1, 1))]
  void producer.flush()
  await sends[1]
  sends.push(producer.send(numbered(1, 0, 1)), producer.send(numbered(1, 2)))
  const ready = producer.ready()
  stop.abort(new Error('enough'))
  const ends = await Promise.allSettled([...sends, ready, producer.send(numbered(1, 1))])
  t.same(
    ends.map((end) => (end.status === 'rejected' ? (end.reason as Error).message : end.status)),
    ['enough', 'fulfilled', 'enough', 'enough', 'enough', 'enough'],
    'under way, done, queued, lingering, held back, new',
  )
  t.equal(producer.bufferedBytes, 0)
})
