/** A strict topic with real processes: nobody stands in for an owner, and a new owner waits for the old log. */

import { t as file, test } from 'tap'

import { startCluster, token, until } from '#test/cluster'

// Processes, on two shared cores.
file.setTimeout(600_000)

const topic = 'ordered'

test('a strict partition is refused while its owner is away, and after a ring change until the old log is read', async (t) => {
  const { brokers, proxy, client, restart } = await startCluster(t)
  await client.createTopic(topic, { partitions: 4, strict: true })
  const owners = async () => (await client.ring()).topics[topic]?.owners ?? []
  const partition = (await owners()).indexOf(1)
  const other = (await owners()).indexOf(0)
  const produce = async (at: number, data: string) => {
    const answer = await fetch(`${proxy.url}/produce?topic=${topic}&partition=${at}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'text/plain' },
      body: data,
    })
    const { code, detail } = (await answer.json()) as { code?: string; detail?: string }
    return { status: answer.status, retryAfter: answer.headers.get('retry-after'), code, detail }
  }
  const isTaken = (at: number, data: string) => until(async () => (await produce(at, data)).status === 200)
  const refused = (why: RegExp) => ({ status: 503, retryAfter: '1', code: 'unavailable', detail: why })
  /** Records of the partition on each broker. */
  const held = async (): Promise<(number | undefined)[]> => {
    const logs = (await client.topics()).find(({ name }) => name === topic)?.logs ?? []
    return [0, 1].map((broker) => logs.find((log) => log.broker === broker && log.partition === partition)?.records)
  }

  await isTaken(partition, 'first')
  await isTaken(other, 'elsewhere')
  await brokers[1]?.kill('SIGKILL')
  for (let round = 0; round < 3; round++) {
    t.match(
      await produce(partition, 'lost'),
      refused(/^ordered is strict, and partition \d waits: its owner, broker 1,/),
    )
  }
  t.match(await produce(other, 'elsewhere'), { status: 200 }, 'the partitions of the other go on')
  await restart(1)
  await isTaken(partition, 'second')
  t.strictSame(await held(), [0, 2], 'nothing of it stands on the other broker')

  const stop = new AbortController()
  t.teardown(() => stop.abort())
  const consumer = client.consumer({ topic, group: 'slow', from: 'earliest', partition, signal: stop.signal })
  const seen: { readonly id: string; readonly data: string }[] = []
  const consuming = (async () => {
    for await (const messages of consumer.batches()) seen.push(...messages)
  })()
  await until(async () => seen.length === 2)
  await client.drain(1)
  await until(async () => (await owners())[partition] === 0)
  // At first the proxy has still to ask.
  await until(async () => /to be acknowledged first/.test((await produce(partition, 'early')).detail ?? ''))
  t.match(
    await produce(partition, 'early'),
    refused(/partition \d waits: 2 records on other brokers are to be acknowledged first/),
  )
  await consumer.ack([seen[0]?.id ?? ''])
  await until(async () => /: 1 records on other/.test((await produce(partition, 'early')).detail ?? ''))
  await consumer.ack([seen[1]?.id ?? ''])
  await isTaken(partition, 'third')
  await until(async () => seen.length === 3)
  t.strictSame(
    seen.map(({ data }) => data),
    ['first', 'second', 'third'],
    'in the order in which they were written',
  )
  stop.abort()
  await consuming
})
