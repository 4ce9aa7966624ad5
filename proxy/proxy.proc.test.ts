/** Real brokers behind a real proxy: what was acknowledged is delivered, whichever of them is killed. */

import { t as file, test } from 'tap'

import { Client, Problem } from '#wire/client'
import { startCluster as start, token, until } from '#test/cluster'

file.setTimeout(600_000)

test('a dead broker costs no acknowledged record, and no error of a producer', async (t) => {
  const { brokers, proxy, client, restart } = await start(t)
  const acknowledged = new Set<string>()
  const received = new Set<string>()
  const stop = new AbortController()
  t.teardown(() => stop.abort())
  const consumer = client.consumer({ topic: 'telemetry', group: 'g', signal: stop.signal })
  const consuming = (async () => {
    for await (const messages of consumer.batches()) {
      const last = new Map<string, string>()
      for (const { data, broker, partition, id } of messages) {
        received.add(data)
        last.set(`${broker}/${partition}`, id)
      }
      // A broker that was killed has forgotten what it had delivered, and delivers it again.
      await consumer.ack([...last.values()]).catch((error: unknown) => {
        if (!(error instanceof Problem) && !stop.signal.aborted) throw error
      })
    }
  })()
  const producer = client.producer({ topic: 'telemetry' })
  const produce = async (name: string): Promise<void> => {
    const records = Array.from({ length: 200 }, (_, index) => ({ data: `${name}-${index}`, key: `gpu-${index % 40}` }))
    await producer.send(records)
    for (const { data } of records) acknowledged.add(data)
  }

  await produce('before')
  await brokers[1]?.kill('SIGKILL')
  for (let round = 0; round < 5; round++) await produce(`without-${round}`)
  const status = (await proxy.status()) as {
    members: { broker: number; state: string; reason?: string }[]
    complete: boolean
  }
  t.match(
    status.members.find(({ broker }) => broker === 1),
    { state: 'down', reason: /ECONNREFUSED|closed|reset/i },
  )
  t.equal(status.complete, false)
  t.equal((await fetch(`${proxy.url}/ready`)).status, 200, 'one broker is enough')
  await restart(1)
  await until(async () => ((await proxy.status()) as { complete: boolean }).complete)
  for (let round = 0; round < 3; round++) await produce(`after-${round}`)
  await until(async () => [...acknowledged].every((data) => received.has(data)))
  t.equal(acknowledged.size, 9 * 200)
  t.strictSame(
    [...acknowledged].filter((data) => !received.has(data)),
    [],
  )
  const { owners } = (
    (await (await fetch(`${proxy.url}/ring`, { headers: { authorization: `Bearer ${token}` } })).json()) as {
      topics: Record<string, { owners: number[] }>
    }
  ).topics['telemetry'] ?? { owners: [] }
  t.strictSame(
    owners.toSorted((a, b) => a - b),
    [0, 0, 1, 1],
    'both own two partitions',
  )
  stop.abort()
  await consuming
})

test('the proxy has the face of a broker', async (t) => {
  const { brokers, proxy, client } = await start(t)
  const ask = async (path: string, init: RequestInit = {}): Promise<{ status: number; body: unknown }> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' }
    const answer = await fetch(proxy.url + path, { headers, ...init })
    return { status: answer.status, body: await answer.json() }
  }
  const post = (path: string, body: string) => ask(path, { method: 'POST', body })
  t.match(await post('/produce?topic=nothing', '{}'), {
    status: 404,
    body: { code: 'unknown_topic', detail: /there are telemetry, transfers/ },
  })
  t.match(await post('/produce?topic=telemetry&partition=4', '{}'), {
    status: 404,
    body: { code: 'unknown_partition' },
  })
  t.match(
    await post('/produce?topic=telemetry&partition=0', ''),
    { status: 400, body: { code: 'empty_batch' } },
    'the refusal of the broker',
  )
  t.match(await post('/ack?topic=telemetry&group=none', '{"id":"0/0/0"}'), {
    status: 404,
    body: { code: 'unknown_group' },
  })
  for (const path of ['/nack', '/extend']) {
    t.match(await post(`${path}?topic=telemetry&group=none`, '{"id":"0/0/0"}'), {
      body: { refused: [{ id: '0/0/0', code: 'unknown_group' }] },
    })
  }
  t.match(await post('/ack?topic=telemetry&group=none', '{"id":"7/0/0"}'), {
    status: 409,
    body: { code: 'wrong_broker' },
  })
  t.match(await ask('/consume?topic=nothing'), { status: 404, body: { code: 'unknown_topic' } })
  const comingBack = { headers: { authorization: `Bearer ${token}`, 'last-event-id': '0/1/7' } }
  t.match(await ask('/consume?topic=telemetry&partition=1&from=earliest', comingBack), {
    status: 400,
    body: { code: 'cursor_needed' },
  })
  t.equal((await fetch(`${proxy.url}/topics`)).status, 401, 'only with the token')
  await client.dead('telemetry', [{ reason: 'for the test', file: 'a.csv', line: 7 }])
  const topics = await client.topics()
  t.equal(topics.find(({ name }) => name === 'telemetry')?.logs.length, 8, 'four partitions on two brokers')
  const dead = topics.find(({ name }) => name === 'telemetry.dead')
  t.equal(
    dead?.logs.reduce((sum, { next }) => sum + next, 0),
    1,
  )
  for (const broker of brokers) await broker.kill('SIGKILL')
  const silent = { status: 503, body: { code: 'unavailable', detail: /no broker answers/ } }
  t.match(await ask('/topics'), silent, 'not an empty list, which says that there is no topic')
})

test('a plain reader through the proxy misses and repeats nothing when its connection is cut', async (t) => {
  const { brokers, proxy, client, restart } = await start(t)
  const stop = new AbortController()
  t.teardown(() => stop.abort())
  const seen: string[] = []
  const reader = client.consumer({ topic: 'telemetry', from: 'earliest', signal: stop.signal })
  const reading = (async () => {
    for await (const messages of reader.batches()) seen.push(...messages.map(({ data }) => data))
  })()
  const producer = client.producer({ topic: 'telemetry', lingerMs: 0 })
  let sent = 0
  const send = async (count: number): Promise<void> => {
    for (let at = 0; at < count; at++) await producer.send([{ data: `r${sent++}`, partition: sent % 4 }])
  }
  await send(12)
  await until(async () => seen.length === 12)
  await brokers[0]?.kill('SIGKILL')
  await restart(0)
  await until(async () => ((await proxy.status()) as { complete: boolean }).complete)
  await send(12)
  await until(async () => seen.length >= 24)
  t.strictSame(seen.toSorted(), Array.from({ length: 24 }, (_, index) => `r${index}`).toSorted())
  stop.abort()
  await reading
})

test('a topic that is made and changed by the proxy is so on every broker, and what is missing is said', async (t) => {
  const { brokers, proxy, client, restart } = await start(t)
  const refusalOf = (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      () => undefined,
      (error: unknown) => error,
    )
  t.match(await client.createTopic('notes', { partitions: 2, retention_age: '36h' }), { name: 'notes', partitions: 2 })
  // At once, without a round of probes in between.
  await client.producer({ topic: 'notes' }).send([{ data: 'one', partition: 1 }])
  t.match(await client.createTopic('notes', { partitions: 2, retention_age: '36h' }), { partitions: 2 }, 'again')
  t.match(await client.changeTopic('notes', { partitions: 3 }), { partitions: 3, keys_map_anew: true })
  await client.producer({ topic: 'notes' }).send([{ data: 'two', partition: 2 }])
  for (const { url } of brokers) {
    const topics = await new Client({ url, token }).topics()
    t.match(
      topics.find(({ name }) => name === 'notes'),
      { partitions: 3, retention_age: '36h' },
    )
    t.ok(topics.some(({ name }) => name === 'notes.dead'))
  }
  t.match(await refusalOf(client.createTopic('notes', { partitions: 5 })), { code: 'topic_differs' })
  t.match(await refusalOf(client.createTopic('new', { partitions: 0 })), {
    code: 'bad_option',
    message: /partitions=0/,
  })
  t.match(await refusalOf(client.changeTopic('nowhere', { partitions: 5 })), { code: 'unknown_topic' })
  t.match(await refusalOf(client.createTopic('notes.dead')), { code: 'dead_topic' })

  await brokers[1]?.kill('SIGKILL')
  t.match(await refusalOf(client.changeTopic('notes', { retention_age: '2d' })), {
    code: 'unavailable',
    message: /not done by broker 1 \(.*\): .*; done by broker 0 \(.*\)\. Send the same request again/,
  })
  await restart(1)
  await until(async () => ((await proxy.status()) as { complete: boolean }).complete)
  t.match(await client.changeTopic('notes', { retention_age: '2d' }), { retention_age: '2d' }, 'the same request again')
  await brokers[0]?.kill('SIGTERM')
  await restart(0)
  for (const { url } of brokers) {
    const topics = await new Client({ url, token }).topics()
    t.match(
      topics.find(({ name }) => name === 'notes'),
      { partitions: 3, retention_age: '2d' },
      'kept over the restart',
    )
  }
})
