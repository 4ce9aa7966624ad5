/** The straight path with real processes: batches go to the owners, and through the proxy while one of them is dead. */

import { test } from 'tap'

import { Client } from '#wire/client'
import { startCluster, token, until } from '#test/cluster'

test('a straight producer goes round a dead owner and comes back to it, and nothing acknowledged is lost', async (t) => {
  const { brokers, proxy, client, restart } = await startCluster(t)
  const straight = new Client({ url: proxy.url, token, straight: true, backoff: { firstMs: 20, longestMs: 200 } })
  const producer = straight.producer({ topic: 'telemetry' })
  const sent: string[] = []
  const produce = async (name: string): Promise<void> => {
    const records = Array.from({ length: 40 }, (_, n) => ({ data: `${name}-${n}`, partition: n % 4 }))
    await producer.send(records)
    sent.push(...records.map(({ data }) => data))
  }
  /** Produce requests that went through the proxy so far. */
  const throughProxy = async (): Promise<number> => {
    const text = await (await fetch(`${proxy.url}/metrics`)).text()
    const lines = [...text.matchAll(/^http_requests_total\{([^}]*route="\/produce"[^}]*)\} (\d+)$/gm)]
    return lines.reduce((sum, [, , count]) => sum + Number(count), 0)
  }

  for (let round = 0; round < 5; round++) await produce(`before-${round}`)
  t.equal(await throughProxy(), 0, 'all of it straight')
  await brokers[1]?.kill('SIGKILL')
  for (let round = 0; round < 5; round++) await produce(`without-${round}`)
  t.ok((await throughProxy()) > 0, 'what the dead one owns goes through the proxy')
  await restart(1)
  await until(async () => ((await proxy.status()) as { complete: boolean }).complete)
  // The table and the owner's time out of favour have their age; each round may go either way until then.
  let before = -1
  await until(async () => {
    before = await throughProxy()
    await produce(`after-${sent.length}`)
    return (await throughProxy()) === before
  })

  const stop = new AbortController()
  const received = new Set<string>()
  for await (const messages of client
    .consumer({ topic: 'telemetry', from: 'earliest', signal: stop.signal })
    .batches()) {
    for (const { data } of messages) received.add(data)
    if (received.size >= sent.length) break
  }
  t.strictSame(
    sent.filter((data) => !received.has(data)),
    [],
  )
  await producer.close()
})

test('the table of owners has a version, and an answer that need not be sent twice', async (t) => {
  const { proxy, client } = await startCluster(t)
  const headers = { authorization: `Bearer ${token}` }
  t.equal((await fetch(`${proxy.url}/ring`)).status, 401, 'only with the token')
  const first = await fetch(`${proxy.url}/ring?topic=telemetry`, { headers })
  const etag = first.headers.get('etag') ?? ''
  const table = (await first.json()) as { version: string }
  t.match(table, {
    version: /^[0-9a-f]{16}$/,
    complete: true,
    members: [
      { broker: 0, state: 'up', writable: true },
      { broker: 1, state: 'up', writable: true },
    ],
    topics: { telemetry: { partitions: 4 } },
  })
  const again = await fetch(`${proxy.url}/ring?topic=telemetry`, { headers: { ...headers, 'if-none-match': etag } })
  t.same([again.status, await again.text()], [304, ''])
  const produced = await fetch(`${proxy.url}/produce?topic=telemetry`, { method: 'POST', headers, body: '{}' })
  t.equal(produced.headers.get('penstock-ring'), table.version)
  await client.createTopic('notes', { partitions: 2 })
  const then = (await (await fetch(`${proxy.url}/ring`, { headers })).json()) as { version: string }
  t.not(then.version, table.version, 'another topic, another table')
})
