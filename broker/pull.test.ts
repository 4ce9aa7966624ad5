import { test } from 'tap'

import { startBroker, type LocalBroker } from '#test/broker'

const topics = new Map([['work', { partitions: 2 }]])

async function pull(local: LocalBroker, rest = '', signal?: AbortSignal): Promise<any[]> {
  const headers = { accept: 'application/x-ndjson' }
  const answer = await fetch(`${local.url}/consume?topic=work&group=g${rest}`, { headers, signal: signal ?? null })
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown)
}

test('pull answers with what there is, as lines; acknowledged it does not come again', async (t) => {
  const local = await startBroker(t, { topics })
  t.strictSame(await pull(local), [], 'nothing yet')
  t.strictSame(await pull(local, '&max=0&wait_ms=60000'), [], 'nothing is wanted: nothing is waited for')
  await local.call('POST', '/produce?topic=work&partition=0', 'one\ntwo')
  await local.call('POST', '/produce?topic=work&partition=1', 'a "line"\nand\n\nanother', {
    'content-type': 'text/plain',
  })
  t.strictSame(await pull(local), [
    { id: '0/0/0', attempt: 1, data: 'one' },
    { id: '0/0/1', attempt: 1, data: 'two' },
    { id: '0/1/0', attempt: 1, data: 'a "line"\nand\n\nanother' },
  ])
  t.strictSame(await pull(local), [], 'all is in flight')
  t.match(local.status().topics.work.groups.g, { mode: 'shared', in_flight: 3, consumers: 0 })
  await local.call('POST', '/ack?topic=work&group=g', { ids: ['0/0/0', '0/1/0'] })
  local.clock.advance(30_000)
  local.broker.tick()
  t.strictSame(await pull(local), [{ id: '0/0/1', attempt: 2, data: 'two' }], 'the lease ended by its deadline alone')
})

test('max bounds an answer, and wait_ms waits for the first record', async (t) => {
  const local = await startBroker(t, { topics })
  await local.call('POST', '/produce?topic=work&partition=0', Array.from({ length: 250 }, (_, n) => `r${n}`).join('\n'))
  const taken: string[] = []
  for (let asked = 0; asked < 3; asked++) {
    const lines = await pull(local, '&max=99')
    t.equal(lines.length, [99, 99, 52][asked])
    taken.push(...lines.map(({ data }) => data as string))
  }
  t.strictSame(
    taken,
    Array.from({ length: 250 }, (_, n) => `r${n}`),
  )
  const waiting = pull(local, '&wait_ms=60000&partition=1')
  const group = () => local.broker.topic('work')?.groups.named('g')
  while (group()?.members.size !== 1) await new Promise(setImmediate)
  await local.call('POST', '/produce?topic=work&partition=0', 'not this one')
  await local.call('POST', '/produce?topic=work&partition=1', 'this one')
  t.match(await waiting, [{ id: '0/1/0', data: 'this one' }])
})

test('a pull tells of what was removed', async (t) => {
  const local = await startBroker(t, { topics, segmentBytesMax: 1000 })
  await pull(local)
  for (let n = 0; n < 20; n++) await local.call('POST', '/produce?topic=work&partition=0', `"${'x'.repeat(200)}"`)
  await local.call('PATCH', '/topics/work', { retention_bytes: 1500 })
  const log = local.broker.topic('work')!.logs[0]!
  await log.dropBefore(log.segments.at(-1)!.first)
  local.broker.topic('work')?.groups.named('g')?.removed(log.partition, log.first)
  const [gap, record] = await pull(local)
  t.match(gap, { gap: { first: '0/0/0', last: `0/0/${log.first - 1}`, reason: 'retention' } })
  t.match(record, { id: `0/0/${log.first}` })
})

test('a broker that stops answers those who wait, and one who hangs up leaves nothing behind', async (t) => {
  const local = await startBroker(t, { topics })
  const stop = new AbortController()
  const hungUp = pull(local, '&wait_ms=60000', stop.signal).catch((error: Error) => error.name)
  const waiting = pull(local, '&wait_ms=60000')
  const group = () => local.broker.topic('work')?.groups.named('g')
  while (group()?.members.size !== 2) await new Promise(setImmediate)
  stop.abort()
  t.equal(await hungUp, 'AbortError')
  while (group()?.members.size !== 1) await new Promise(setImmediate)
  await local.close()
  t.strictSame(await waiting, [])
})

test('what a pull cannot take is said', async (t) => {
  const local = await startBroker(t, { topics })
  const refusal = async (query: string) => {
    const headers = { accept: 'application/x-ndjson' }
    const answer = await fetch(`${local.url}/consume?topic=work${query}`, { headers })
    return { status: answer.status, body: await answer.json() }
  }
  t.match(await refusal(''), { status: 400, body: { code: 'missing_parameter', detail: /group/ } })
  t.match(await refusal('&group=g&max=-1'), { status: 400, body: { detail: /max=-1/ } })
  t.match(await refusal('&group=g&wait_ms=70000'), { status: 400, body: { detail: /wait_ms=70000/ } })
  t.match(await refusal('&group=g&mode=exclusive'), { status: 400, body: { detail: /mode=exclusive/ } })
  t.match(await refusal('&group=g&consumer=me'), { status: 400, body: { code: 'unknown_parameter' } })
  t.match(await refusal('&group=g&partition=7'), { status: 404, body: { code: 'unknown_partition' } })
  await local.stream('/consume?topic=work&group=streamed')
  t.match(await refusal('&group=streamed'), { status: 409, body: { code: 'mode_mismatch' } })
})
