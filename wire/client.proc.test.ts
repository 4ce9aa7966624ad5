import { EventSource } from 'eventsource'
import { test } from 'tap'
import { startRole, type StartedRole } from '#test/start'
import { Client, Problem, type Consumer, type Message } from './client.ts'
import { parseId } from './ids.ts'

const count = 10_000
const partitions = 4
const env = { TOPICS: `telemetry:partitions=${partitions}:durability=disk` }
const backoff = { firstMs: 50, longestMs: 400 }

test('a broker killed in the middle loses nothing acknowledged and repeats no numbered batch', async (t) => {
  const broker = await startRole(t, 'broker', { env })
  const { url, port, dataDir } = broker
  const client = new Client({ url, backoff })
  let restarted: Promise<StartedRole> | undefined
  const restart = async (): Promise<StartedRole> => {
    await broker.kill('SIGKILL')
    return startRole(t, 'broker', { env: { ...env, PORT: String(port), DATA_DIR: dataDir } })
  }

  // A browser's reader, which comes back by Last-Event-ID; it gives up for good where the answer is a 503.
  const browser: { id: string; data: string }[] = []
  const news = new EventTarget()
  const source = new EventSource(`${url}/consume?topic=telemetry&partition=0&from=earliest`, {
    fetch: async (address, init) => {
      await restarted
      return fetch(address, init)
    },
  })
  t.teardown(() => source.close())
  source.addEventListener('message', ({ data, lastEventId }) => {
    browser.push({ id: lastEventId, data: String(data) })
    news.dispatchEvent(new Event('record'))
  })

  const produced = Promise.all([produce(client, 0), produce(client, 1)])
  const group = client.consumer({ topic: 'telemetry', group: 'g' })
  const complaints = await drain(group, (delivered) => {
    if (delivered > count / 3) restarted ??= restart()
  })
  await produced
  t.same(complaints, [])
  t.not(restarted, undefined)
  const status = await (await restarted)?.status()
  t.match(status, { topics: { telemetry: { groups: { g: { lag: 0, in_flight: 0 } } } } })

  const topic = (await client.topics()).find(({ name }) => name === 'telemetry')
  const logs = await Promise.all(topic?.logs.map(({ partition, next }) => readLog(url, partition, next - 1)) ?? [])
  t.same(repeatsAndLosses(logs), [])

  const last = logs[0]?.at(-1)?.id
  while (browser.at(-1)?.id !== last)
    await new Promise((resolve) => news.addEventListener('record', resolve, { once: true }))
  t.ok(JSON.stringify(browser) === JSON.stringify(logs[0]), 'what a browser read is the log, without gap or repeat')
})

/** Half of the records in sends of 250; record n has the key n mod 16 of its producer. */
async function produce(client: Client, index: number): Promise<void> {
  const producer = client.producer({ topic: 'telemetry', producerId: `producer-${index}` })
  for (let first = 0; first < count / 2; first += 250) {
    const ns = Array.from({ length: 250 }, (_, at) => first + at)
    await producer.send(ns.map((n) => ({ data: JSON.stringify({ index, n }), key: `GPU-${index}-${n % 16}` })))
  }
  await producer.close()
}

/** Reads and acknowledges until every record has come; returns what should not have happened. */
async function drain(consumer: Consumer, onBatch: (delivered: number) => void): Promise<string[]> {
  const complaints: string[] = []
  const delivered = new Set<string>()
  /** The highest offset of each partition, delivered and acknowledged. */
  const highest = new Map<number, number>()
  const acknowledged = new Map<number, number>()
  for await (const messages of consumer.batches()) {
    const lasts = new Map<number, Message>()
    for (const message of messages) {
      const { id, partition, offset } = message
      if (offset <= (acknowledged.get(partition) ?? -1)) complaints.push(`${id} came after its acknowledgement`)
      if (offset > (highest.get(partition) ?? -1)) {
        if (delivered.has(message.data)) complaints.push(`${id} is a second ${message.data}`)
        highest.set(partition, offset)
      }
      delivered.add(message.data)
      lasts.set(partition, message)
    }
    onBatch(delivered.size)
    try {
      await consumer.ack([...lasts.values()].map(({ id }) => id))
      for (const { partition, offset } of lasts.values()) acknowledged.set(partition, offset)
    } catch (error) {
      // The broker that delivered them is gone; they come again.
      if (!(error instanceof Problem) || error.code !== 'not_delivered') throw error
    }
    if (delivered.size === count && [...highest].every(([partition, at]) => acknowledged.get(partition) === at)) break
  }
  return complaints
}

/** A partition by `fetch` and the two lines of an event, up to an offset. */
async function readLog(url: string, partition: number, lastOffset: number): Promise<{ id: string; data: string }[]> {
  const stop = new AbortController()
  const query = `topic=telemetry&partition=${partition}&from=earliest`
  const response = await fetch(`${url}/consume?${query}`, { signal: stop.signal })
  let text = ''
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk
    if (text.endsWith('\n\n') && text.includes(`id: 0/${partition}/${lastOffset}\n`)) break
  }
  stop.abort()
  return [...text.matchAll(/^id: (.*)\ndata: (.*)\n\n/gm)].map(([, id = '', data = '']) => ({ id, data }))
}

function repeatsAndLosses(logs: readonly (readonly { id: string; data: string }[])[]): string[] {
  const complaints: string[] = []
  const nextOf = new Map<string, number>()
  for (const log of logs) {
    let before = -1
    for (const { id, data } of log) {
      const offset = parseId(id)?.offset ?? -1
      if (offset <= before) complaints.push(`${id} behind ${before}`)
      before = offset
      const { index, n } = JSON.parse(data) as { index: number; n: number }
      const key = `GPU-${index}-${n % 16}`
      const want = nextOf.get(key) ?? n % 16
      if (n !== want) complaints.push(`${id}: record ${n} of ${key} where ${want} is next`)
      nextOf.set(key, n + 16)
    }
  }
  const total = logs.reduce((sum, log) => sum + log.length, 0)
  if (total !== count) complaints.push(`${total} records stand in the logs, ${count} were acknowledged`)
  return complaints
}
