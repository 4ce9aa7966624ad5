/**
 * Requests that nobody would send: whatever comes in, no answer is an error of ours, every refusal says by a known code
 * what was wrong, and what was acknowledged before is there afterwards. A failure prints the seed that repeats it.
 */

import fc from 'fast-check'
import { t as file, test } from 'tap'

import { startBroker, type LocalBroker } from '#test/broker'
import { RawClient } from '#test/http'
import { problems } from '#wire/problems'

const isFull = process.env['PENSTOCK_TEST_FULL'] === '1'
const numRuns = isFull ? 3_000 : 150
const answerMsMax = 20_000

file.setTimeout(isFull ? 1_200_000 : 600_000)

interface Sent {
  readonly method: string
  readonly target: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Buffer
}

const names = [
  'notes',
  'notes.dead',
  'none',
  'g',
  'a.b',
  '..',
  '.',
  '',
  'a/b',
  'a b',
  'größe',
  '__proto__',
  'x'.repeat(129),
]
const numbers = ['0', '1', '7', '-1', '1.5', '1e3', '٣', '99999999999999999999', ' 1', '0x1']
const ids = ['0/0/0', '0/0/2', '0/1/0', '1/0/0', '0/9/0', '0/0/9007199254740993', '0/0', '//', '0/0/-1', '0/0/0,0/1/0']
const times = ['2026-01-01T00:00:00Z', '2026-13-99', '30s', '0s', '12h', '1y', 'earliest', 'latest', 'none']
const odd = ['%00', '%zz', '%ff%fe', '\t', '[object Object]', 'null', 'true']

const word = fc.oneof(
  fc.constantFrom(...names, ...numbers, ...ids, ...times, ...odd, 'payload', 'exclusive', 'shared'),
  fc.string({ unit: 'binary', maxLength: 12 }),
)

const parameters = [
  'topic',
  'partition',
  'key',
  'unwrap',
  'group',
  'mode',
  'consumer',
  'max_in_flight',
  'visibility',
  'from',
]

const query = fc
  .tuple(
    // Mostly a topic that is there, so that more than the first check is reached.
    fc.option(fc.constantFrom('topic=notes', 'topic=notes&group=g', 'topic=notes&partition=0', 'topic=notes.dead')),
    fc.array(fc.tuple(fc.oneof(fc.constantFrom(...parameters), word), word, fc.boolean()), { maxLength: 3 }),
  )
  .map(([known, others]) =>
    [
      ...(known === null ? [] : [known]),
      ...others.map(([name, value, isRaw]) =>
        isRaw
          ? `${name}=${value}`
          : `${encodeURIComponent(name.toWellFormed())}=${encodeURIComponent(value.toWellFormed())}`,
      ),
    ].join('&'),
  )

const path = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('/produce', '/dead', '/consume', '/ack') },
  {
    weight: 2,
    arbitrary: fc.constantFrom('/topics', '/topics/notes', '/topics/made', '/topics/notes.dead', '/topics/'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('/health', '/ready', '/metrics', '/status', '/', '//', '*', 'http://x/topics'),
  },
  { weight: 1, arbitrary: word.map((text) => `/topics/${encodeURIComponent(text.toWellFormed())}`) },
  { weight: 1, arbitrary: word.map((text) => `/${text}`) },
)

const headers = fc.array(
  fc.oneof(
    fc.tuple(
      fc.constant('Content-Type'),
      fc.constantFrom('application/json', 'application/x-ndjson', 'text/plain; charset=x', 'image/png', '', ';'),
    ),
    fc.tuple(fc.constant('Producer-Id'), word),
    fc.tuple(fc.constant('Producer-Sequence'), fc.constantFrom(...numbers)),
    fc.tuple(fc.constant('Last-Event-ID'), fc.oneof(fc.constantFrom(...ids), word)),
    fc.tuple(fc.constantFrom('Accept', 'Authorization', 'X-Request-Id', 'traceparent', 'X-Odd'), word),
  ),
  { maxLength: 4 },
)

const json = fc.oneof(
  fc.constantFrom(
    'null',
    '[]',
    '{}',
    '0',
    '"x"',
    '{"payload":null}',
    '{"payload":"a\\u0000"}',
    '{"payload":"\\ud800"}',
  ),
  fc.json({ maxDepth: 3 }),
  fc.record({ payload: fc.jsonValue({ maxDepth: 2 }) }).map((value) => JSON.stringify(value)),
  fc
    .dictionary(fc.constantFrom('id', 'ids', 'up_to'), fc.oneof(word, fc.array(fc.oneof(word, fc.jsonValue()))))
    .map((value) => JSON.stringify(value)),
  fc
    .dictionary(
      fc.constantFrom(
        'partitions',
        'durability',
        'retention',
        'retention_bytes',
        'retention_age',
        'max_bytes',
        'other',
      ),
      fc.oneof(fc.constantFrom('fsync', 'disk', 'memory', 'time', 'acknowledged', '1MiB', '1h'), word, fc.jsonValue()),
    )
    .map((value) => JSON.stringify(value)),
  fc.record({ reason: fc.jsonValue() }).map((value) => JSON.stringify(value)),
)

const body = fc.oneof(
  json.map((text) => Buffer.from(text)),
  fc.array(json, { maxLength: 4 }).map((lines) => Buffer.from(lines.join('\n'))),
  fc.string({ unit: 'binary', maxLength: 60 }).map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
)

const request: fc.Arbitrary<Sent> = fc
  .record({
    method: fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom('POST', 'GET', 'PUT', 'PATCH') },
      { weight: 1, arbitrary: fc.constantFrom('DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'post', 'BREW') },
    ),
    path,
    query,
    headers,
    body,
  })
  .map(({ method, path, query, headers, body }) => ({
    method: path === '/consume' && method !== 'HEAD' ? 'GET' : method,
    target: query === '' ? path : `${path}?${query}`,
    headers,
    body,
  }))

/** Sends it on a connection of its own; what is wrong with the answer, if anything is. */
async function complaintOf(broker: LocalBroker, { method, target, headers, body }: Sent): Promise<string | undefined> {
  const ends: (() => unknown)[] = []
  const client = new RawClient(
    { teardown: (end: () => unknown) => void ends.push(end) },
    Number(new URL(broker.url).port),
  )
  const timer = setTimeout(() => client.socket.destroy(), answerMsMax)
  try {
    // Given length, or the server would wait for more.
    const all = [['Host', 'x'], ['Connection', 'close'], ['Content-Length', String(body.length)], ...headers]
    const head = `${method} ${target} HTTP/1.1\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
    void client.write(Buffer.concat([Buffer.from(head), body]))
    const { status, headers: got } = await client.head()
    const type = got.get('content-type') ?? ''
    if (status < 400) return status >= 200 ? undefined : `status ${status}`
    if (!type.startsWith('application/problem+json')) return `${status} of type ${type}`
    if (method === 'HEAD') return undefined
    const text = (await client.bytes(Number(got.get('content-length')))).toString()
    const problem = JSON.parse(text) as { readonly code: string; readonly status: number }
    if (!Object.hasOwn(problems, problem.code)) return `the code ${problem.code} is none`
    if (problem.status !== status) return `${status} in the head and ${problem.status} in the body`
    return status === 500 ? text : undefined
  } catch (error) {
    return `no answer: ${(error as Error).message}`
  } finally {
    clearTimeout(timer)
    for (const end of ends) end()
  }
}

/** The stream of the partition that the test has written to, up to its last record. */
async function readBack(broker: LocalBroker, last: string): Promise<string> {
  const until = await broker.stream('/consume?topic=kept&from=earliest')
  return until(new RegExp(`id: ${last}\n[^\n]*\n\n`))
}

test('whatever is asked: no error of ours, and every refusal is one that a program knows', async (t) => {
  const topics = new Map([
    ['notes', { partitions: 2 }],
    ['kept', { partitions: 1 }],
  ])
  const broker = await startBroker(t, { topics, partitionsMax: 4 })
  await broker.call('POST', '/produce?topic=notes&partition=0', 'one\ntwo\nthree')
  for (let n = 0; n < 5; n++) await broker.call('POST', '/produce?topic=kept', `{"n":${n}}\nof ${n}`)
  const before = await readBack(broker, '0/0/9')
  let refused = 0
  await fc.assert(
    fc.asyncProperty(request, async (sent) => {
      // What the test itself has written is nobody's business.
      fc.pre(!/kept/.test(sent.target))
      const complaint = await complaintOf(broker, sent)
      if (complaint !== undefined) throw new Error(complaint)
      refused++
    }),
    { numRuns },
  )
  t.ok(refused > 0)
  t.equal(await readBack(broker, '0/0/9'), before, 'what was acknowledged is there')
  await broker.close()
  const again = await startBroker(t, { disk: broker.disk, topics: new Map(), partitionsMax: 4 })
  t.equal(await readBack(again, '0/0/9'), before, 'also after a restart')
  t.match(await again.call('POST', '/produce?topic=notes&partition=0', 'on'), { status: 200 })
})

test('what was found', async (t) => {
  const broker = await startBroker(t, { topics: new Map([['notes', { partitions: 1 }]]) })
  const type = { 'content-type': 'application/json' }
  const unwrap = '/produce?topic=notes&unwrap=payload'
  t.match(await broker.call('POST', unwrap, 'null', type), { status: 400, body: { code: 'bad_record' } })
})
