import type { ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { mock } from 'node:test'
import * as fc from 'fast-check'
import { test } from 'tap'
import { answer, listen, notedBackoff } from '#test/listen'
import type { Scope } from '#test/start'
import { Client, type ClientOptions, type Consumer, type ConsumerOptions, type Message } from './client.ts'

/** One `GET /consume` as it came, with its stream open. */
interface Connection {
  readonly query: URLSearchParams
  readonly response: ServerResponse
  /** Resolves when the consumer has gone. */
  readonly closed: Promise<void>
}

interface FakeBroker {
  readonly url: string
  readonly connections: Connection[]
  /** What was posted: path, query and body. */
  readonly posts: string[]
}

/** A broker whose streams are scripts: one for each connection, the last one for all that follow. */
async function fakeBroker(
  t: Scope,
  streams: readonly ((connection: Connection) => void)[],
  onPost: (response: ServerResponse, nth: number) => void = (response) => answer(response, 200, { acknowledged: 1 }),
): Promise<FakeBroker> {
  const connections: Connection[] = []
  const posts: string[] = []
  const url = await listen(t, async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://broker')
    if (request.method === 'POST') {
      posts.push(`${pathname}?${searchParams.toString()} ${await text(request)}`)
      return onPost(response, posts.length)
    }
    const closed = new Promise<void>((resolve) => response.on('close', resolve))
    const connection = { query: searchParams, response, closed }
    connections.push(connection)
    const stream = streams[Math.min(connections.length, streams.length) - 1]
    stream?.(connection)
  })
  return { url, connections, posts }
}

/** A stream of these bytes, which ends with a cut unless it stays open. */
function sends(bytes: string, end: 'open' | 'cut' = 'open'): (connection: Connection) => void {
  return ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(bytes, () => end === 'cut' && response.destroy())
  }
}

function refuses(status: number, body: object): (connection: Connection) => void {
  return ({ response }) => answer(response, status, body)
}

/** A consumer whose waits between tries are noted and take no time. */
function consumerFor(
  broker: { url: string },
  options: Partial<ConsumerOptions> = {},
  client: Partial<ClientOptions> = {},
) {
  const { waits, backoff } = notedBackoff()
  const consumer = new Client({ url: broker.url, backoff, ...client }).consumer({ topic: 'telemetry', ...options })
  return { consumer, waits }
}

/** Reads until so many records have come, and leaves the loop. */
async function take(consumer: Consumer, count: number): Promise<Message[]> {
  const taken: Message[] = []
  if (count === 0) return taken
  for await (const messages of consumer.batches()) {
    taken.push(...messages)
    if (taken.length >= count) break
  }
  return taken
}

const head = (partition: number, first: number, logId = '5d0c3f2a9b7e4416'): string =>
  `: penstock 1 ${logId} telemetry 0 ${partition} ${first}\n`
const batch = ': batch 0000000000000000 00000001 0000000040 01784550000000 - - 6f2f8c11\n'
const event = (id: string, data = `{"of":"${id}"}`): string => `id: ${id}\ndata: ${data}\n\n`
const notice = (name: string, data: object): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
const idsOf = (messages: readonly Message[]): string[] => messages.map(({ id }) => id)

/** A `fetch` whose answer is these pieces, each when it is asked for, and then silence. */
function pieces(parts: readonly Uint8Array<ArrayBuffer>[], onPull: () => void = () => {}): typeof fetch {
  return async () => {
    let turn = 0
    const pull = (controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): void => {
      onPull()
      const part = parts[turn++]
      if (part !== undefined) controller.enqueue(part)
    }
    return new Response(new ReadableStream({ pull }, { highWaterMark: 0 }))
  }
}

test('records are read whole, wherever the network cuts the bytes', async (t) => {
  const stream =
    head(0, 7) +
    head(1, 0) +
    batch +
    event('0/0/7', '{"host":"Zürich 😀"}') +
    event('0/0/8') +
    ': heartbeat\n\n' +
    ': attempt 3\n' +
    event('0/1/0') +
    ': attempt 1\n' +
    'id: 0/0/9\nzip: none\ndata: a\ndata: b\n\n' +
    `${head(0, 3)}: attempt 2\n` +
    event('0/0/3') +
    `${head(0, 10)}${batch}` +
    event('0/0/10')
  const bytes = Buffer.from(stream)
  const of = (partition: number, offset: number, attempt: number, data?: string): Message => {
    const id = `0/${partition}/${offset}`
    return { id, broker: 0, partition, offset, attempt, data: data ?? `{"of":"${id}"}` }
  }
  const want = [
    of(0, 7, 1, '{"host":"Zürich 😀"}'),
    of(0, 8, 1),
    of(1, 0, 3),
    of(0, 9, 1, 'a\nb'),
    of(0, 3, 2),
    of(0, 10, 1),
  ]
  const property = fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 40 }), async (lengths) => {
    const parts: Uint8Array<ArrayBuffer>[] = []
    let at = 0
    for (const length of [...lengths, bytes.length]) parts.push(new Uint8Array(bytes.subarray(at, (at += length))))
    const { consumer } = consumerFor({ url: 'http://broker' }, {}, { fetch: pieces(parts) })
    const got = await take(consumer, want.length)
    const first = consumer.logs.get('0/0')
    return JSON.stringify(got) === JSON.stringify(want) && consumer.logs.size === 2 && first?.firstOffset === 10
  })
  await fc.assert(property, { numRuns: 60 })
  t.pass('held')
})

test('a plain reader that is cut anywhere sees every record once', async (t) => {
  const ends = [17, 12]
  const property = fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 6 }), async (cuts) => {
    const serve = (connection: Connection): void => {
      const from = connection.query.get('from') ?? 'latest'
      const starts = ends.map((_, partition) => {
        const id = from.split(',').find((text) => text.startsWith(`0/${partition}/`))
        return id === undefined ? 0 : Number(id.split('/')[2]) + 1
      })
      let stream = starts.map((start, partition) => head(partition, start)).join('')
      for (let offset = 0; offset < Math.max(...ends); offset++) {
        for (const [partition, end] of ends.entries()) {
          if (offset >= (starts[partition] as number) && offset < end) stream += event(`0/${partition}/${offset}`)
        }
      }
      const cut = cuts[broker.connections.length - 1]
      sends(stream.slice(0, cut), cut === undefined ? 'open' : 'cut')(connection)
    }
    const broker = await fakeBroker(t, [serve])
    const { consumer } = consumerFor(broker, { from: 'earliest' })
    const got = idsOf(await take(consumer, 29))
    return ends.every((end, partition) => {
      const mine = got.filter((id) => id.startsWith(`0/${partition}/`))
      return mine.join() === Array.from({ length: end }, (_, offset) => `0/${partition}/${offset}`).join()
    })
  })
  await fc.assert(property, { numRuns: 25 })
  t.pass('held')
})

test('a reader of the newest that got nothing yet misses nothing', async (t) => {
  const broker = await fakeBroker(t, [sends(head(0, 5) + head(1, 0), 'cut'), sends(event('0/0/5') + event('0/1/0'))])
  const { consumer, waits } = consumerFor(broker, { from: 'latest' })
  t.same(idsOf(await take(consumer, 2)), ['0/0/5', '0/1/0'])
  t.same(
    broker.connections.map(({ query }) => query.get('from')),
    ['latest', '0/0/4'],
    'a log that is not named begins at its first record',
  )
  t.same(waits, [50])
})

test('a log that was made anew is read from its start', async (t) => {
  const before = head(0, 0) + event('0/0/0') + event('0/0/1') + event('0/0/2')
  const renewed = (first: number): string => head(0, first, 'ffffffffffffffff')
  const broker = await fakeBroker(t, [
    sends(before, 'cut'),
    sends(renewed(2) + event('0/0/2', 'new')),
    sends(renewed(0) + event('0/0/0', 'new') + event('0/0/1', 'new') + event('0/0/2', 'new')),
  ])
  const { consumer } = consumerFor(broker, { from: 'earliest' })
  t.same(idsOf(await take(consumer, 6)), ['0/0/0', '0/0/1', '0/0/2', '0/0/0', '0/0/1', '0/0/2'])
  t.same(
    broker.connections.map(({ query }) => query.get('from')),
    ['earliest', '0/0/2', 'earliest'],
  )
})

test('a group reader leaves it to the broker where to go on', async (t) => {
  const broker = await fakeBroker(t, [sends(head(0, 3) + event('0/0/3'), 'cut'), sends(head(0, 3) + event('0/0/3'))])
  const { consumer } = consumerFor(broker, {
    group: 'collector',
    consumer: 'c-1',
    partition: 0,
    maxInFlight: 500,
    visibilityMs: 1500,
  })
  t.same(idsOf(await take(consumer, 2)), ['0/0/3', '0/0/3'])
  const asked = broker.connections.map(({ query }) => query.toString())
  t.same(asked[0], 'topic=telemetry&group=collector&consumer=c-1&partition=0&max_in_flight=500&visibility=1500ms')
  t.same(asked[1], asked[0])
})

test('acknowledgements are tried until they are answered', async (t) => {
  const broker = await fakeBroker(t, [], (response, nth) => {
    if (nth === 1) answer(response, 503, { code: 'stopping', detail: '' }, { 'retry-after': '2' })
    else if (nth === 2) response.destroy()
    else answer(response, 200, {})
  })
  const { consumer, waits } = consumerFor(broker, { group: 'g' })
  await consumer.ack(['0/3/17', '0/1/4'])
  t.same(waits, [2050, 100])
  await consumer.ackEach(['0/3/17'])
  await consumer.nack(['0/3/17'], { delayMs: 500 })
  await consumer.extend(['0/3/18'])
  await Promise.all([consumer.ack([]), consumer.nack([])])
  t.same(broker.posts.slice(2), [
    '/ack?topic=telemetry&group=g {"up_to":["0/3/17","0/1/4"]}',
    '/ack?topic=telemetry&group=g {"ids":["0/3/17"]}',
    '/nack?topic=telemetry&group=g {"ids":["0/3/17"],"delay_ms":500}',
    '/extend?topic=telemetry&group=g {"ids":["0/3/18"]}',
  ])
})

test('an acknowledgement that comes too late is told', async (t) => {
  const refusal = { code: 'lease_lost', detail: '', refused: [{ id: '0/3/17', code: 'lease_lost' }] }
  const broker = await fakeBroker(t, [], (response) => answer(response, 409, refusal))
  const { consumer, waits } = consumerFor(broker, { group: 'g' })
  await t.rejects(consumer.ack(['0/3/17']), { code: 'lease_lost', extra: { refused: refusal.refused } })
  t.same([waits, broker.posts.length], [[], 1])
})

test('a silent stream is opened anew, one with heartbeats is not', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const controllers: ReadableStreamDefaultController<Uint8Array>[] = []
  const idle: typeof fetch = async (_, init) => {
    const start = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
      controllers.push(controller)
      init?.signal?.addEventListener('abort', () => controller.error(init.signal?.reason))
    }
    return new Response(new ReadableStream({ start }))
  }
  const warnings: string[] = []
  const onWarning = (line: string): number => warnings.push(line)
  const { consumer } = consumerFor({ url: 'http://broker' }, {}, { fetch: idle, onWarning })
  const taken = take(consumer, 1)
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  await turn()
  for (let beat = 0; beat < 5; beat++) {
    controllers[0]?.enqueue(Buffer.from(': heartbeat\n\n'))
    await turn()
    mock.timers.tick(29_000)
    await turn()
  }
  t.equal(controllers.length, 1)
  mock.timers.tick(1_001)
  while (controllers.length < 2) await turn()
  t.match(warnings, [/nothing came for 30 s; connecting again/])
  controllers[1]?.enqueue(Buffer.from(event('0/0/0')))
  t.same(idsOf(await taken), ['0/0/0'])
})

test('nothing is read while the caller is busy', async (t) => {
  const parts = Array.from({ length: 100 }, (_, offset) => new Uint8Array(Buffer.from(event(`0/0/${offset}`))))
  let pulls = 0
  const { consumer } = consumerFor({ url: 'http://broker' }, {}, { fetch: pieces(parts, () => pulls++) })
  for await (const messages of consumer.batches()) {
    t.equal(messages.length, 1)
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    t.equal(pulls, 1)
    break
  }
})

test('a cut says whether to come back', async (t) => {
  const cut = (code: string): string => notice('cut', { code, reason: `because of ${code}` })
  const broker = await fakeBroker(t, [
    sends(event('0/0/0') + cut('stopping')),
    sends(cut('unreadable')),
    ({ response }) => void response.end(': heartbeat\n\n'),
    sends(event('0/0/1') + cut('stopping')),
    sends(event('0/0/2') + cut('replaced')),
  ])
  const reasons: string[] = []
  const onCut = (reason: string): number => reasons.push(reason)
  const { consumer, waits } = consumerFor(broker, { group: 'g', consumer: 'c', onCut })
  const got: Message[] = []
  const reading = (async () => {
    for await (const messages of consumer.batches()) got.push(...messages)
  })()
  await t.rejects(reading, { code: 'replaced' })
  t.same(idsOf(got), ['0/0/0', '0/0/1', '0/0/2'], 'what came before the cut is delivered')
  t.same(
    reasons,
    ['stopping', 'unreadable', 'stopping', 'replaced'].map((code) => `because of ${code}`),
  )
  t.same(waits, [50, 100, 200, 50], 'what ends at once is not asked in a tight loop')
})

test('gaps and revocations are told, later events are skipped', async (t) => {
  const gap = { first: '0/0/1', last: '0/0/4', reason: 'damaged' }
  const told: unknown[] = []
  const broker = await fakeBroker(t, [
    sends(head(0, 0) + event('0/0/0') + notice('gap', gap), 'cut'),
    sends('event: rebalance\ndata: not JSON\n\n' + notice('revoke', { partition: 3 }) + event('0/0/5')),
  ])
  const onGap = (gap: unknown): number => told.push(gap)
  const onRevoke = (partition: number): number => told.push(partition)
  const { consumer } = consumerFor(broker, { from: 'earliest', onGap, onRevoke })
  t.same(idsOf(await take(consumer, 2)), ['0/0/0', '0/0/5'])
  t.same(told, [gap, 3])
  t.equal(broker.connections[1]?.query.get('from'), '0/0/4', 'what is lost is not asked for again')
})

test('what a callback throws ends the loop, after the records before it', async (t) => {
  const broker = await fakeBroker(t, [sends(event('0/0/0') + notice('gap', {}) + event('0/0/1'))])
  const onGap = (): never => {
    throw new Error('no gaps, please')
  }
  const { consumer } = consumerFor(broker, { onGap })
  const loop = consumer.batches()
  t.same(idsOf((await loop.next()).value ?? []), ['0/0/0'])
  await t.rejects(loop.next(), { message: 'no gaps, please' })
})

test('what is no broker, or a later one, ends the loop with a clear line', async (t) => {
  const cases: [name: string, stream: string, message: RegExp][] = [
    ['no id', 'data: hello\n\n', /"" is no id of a record: is this a broker/],
    ['a foreign id', event('0/0/0') + event('17'), /"17" is no id/],
    ['an offset that is none', event('0/0/0') + event('0/0/x'), /"0\/0\/x" is no id/],
    ['a later version', ': penstock 2 whatever\n', /speaks version 2 of the protocol, this client version 1/],
    ['a notice that is none', 'event: gap\ndata: 17\n\n', /event: gap comes without a JSON object/],
  ]
  for (const [name, stream, message] of cases) {
    const { consumer, waits } = consumerFor(await fakeBroker(t, [sends(stream)]))
    await t.rejects(take(consumer, 2), { code: 'bad_request', message }, name)
    t.same(waits, [])
  }
})

test('a refusal ends the loop, one that may pass does not', async (t) => {
  const refused = await fakeBroker(t, [refuses(404, { code: 'unknown_topic' })])
  await t.rejects(take(consumerFor(refused).consumer, 1), { code: 'unknown_topic' })
  t.equal(refused.connections.length, 1)
  const starting = { code: 'starting', detail: '', retry_after_s: 1 }
  const patient = consumerFor(await fakeBroker(t, [refuses(503, starting), sends(event('0/0/0'))]))
  t.same(await take(patient.consumer, 1).then(() => patient.waits), [1050])
  const hanging = [(): void => {}, sends(event('0/0/0'))]
  const late = consumerFor(await fakeBroker(t, hanging), {}, { timeoutMs: 50 })
  await take(late.consumer, 1)
  t.ok(late.waits.length > 0, 'a machine under load may be late with the good answer too')
})

test('leaving the loop closes the connection, and a second loop goes on', async (t) => {
  const broker = await fakeBroker(t, [sends(head(0, 0) + event('0/0/0')), sends(event('0/0/1'))])
  const { consumer, waits } = consumerFor(broker, { from: 'earliest' })
  await take(consumer, 1)
  await broker.connections[0]?.closed
  t.same(idsOf(await take(consumer, 1)), ['0/0/1'])
  t.equal(broker.connections[1]?.query.get('from'), '0/0/0')
  t.same(waits, [])
})

test('an abort ends the loop without an error', async (t) => {
  const stop = new AbortController()
  const broker = await fakeBroker(t, [sends(event('0/0/0'))])
  const { consumer } = consumerFor(broker, { signal: stop.signal })
  const got: Message[] = []
  for await (const messages of consumer.batches()) {
    got.push(...messages)
    // Aborted while the loop waits for more.
    setImmediate(() => stop.abort(new Error('enough')))
  }
  await broker.connections[0]?.closed
  t.same(idsOf(got), ['0/0/0'])
  t.same(await take(consumer, 1), [], 'aborted before it began')

  const waiting = new AbortController()
  const sleep = async (): Promise<void> => {
    waiting.abort(new Error('enough'))
    throw waiting.signal.reason
  }
  const away = await fakeBroker(t, [({ response }) => void response.destroy()])
  const { consumer: patient } = consumerFor(away, { signal: waiting.signal }, { backoff: { sleep } })
  t.same(await take(patient, 1), [], 'aborted while it waits to connect again')
})
