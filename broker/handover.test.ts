import { setTimeout as sleep } from 'node:timers/promises'

import { t as file, test } from 'tap'

import { startBroker } from '#test/broker'
import { Client, Problem, type Message } from '#wire/client'

file.setTimeout(600_000)

const consumers = 8
const partitions = 16
const records = 1_600

test('partitions go to and fro among 8 consumers: no record comes again once its acknowledgement was answered', async (t) => {
  const local = await startBroker(t, { topics: new Map([['work', { partitions }]]) })
  const client = new Client({ url: local.url, backoff: { longestMs: 50 } })
  const acknowledged = new Set<string>()
  const again: string[] = []
  const disordered: string[] = []
  /** The highest offset that came, by partition: nothing is lost here, so that all deliveries are first ones. */
  const highest = new Map<number, number>()
  const readers: { readonly stop: AbortController; readonly done: Promise<void>; taken: number }[] = []

  function note({ id, partition, offset }: Message): void {
    if (acknowledged.has(id)) again.push(id)
    if (offset < (highest.get(partition) ?? -1)) disordered.push(id)
    highest.set(partition, Math.max(offset, highest.get(partition) ?? -1))
  }

  async function read(name: string, stop: AbortController, onTaken: () => void): Promise<void> {
    const consumer = client.consumer({
      topic: 'work',
      group: 'g',
      consumer: name,
      maxInFlight: 50,
      signal: stop.signal,
    })
    for await (const messages of consumer.batches()) {
      messages.forEach(note)
      onTaken()
      const last = new Map(messages.map(({ partition, id }) => [partition, id]))
      try {
        await consumer.ack([...last.values()])
        for (const { id } of messages) acknowledged.add(id)
      } catch (error) {
        // Over at the end.
        if (!(error instanceof Problem) && !stop.signal.aborted) throw error
      }
    }
  }

  function join(name: string): void {
    const stop = new AbortController()
    t.teardown(() => stop.abort())
    const reader = { stop, taken: 0, done: Promise.resolve() }
    reader.done = read(name, stop, () => reader.taken++)
    readers.push(reader)
  }

  const producing = (async () => {
    const producer = client.producer({ topic: 'work', lingerMs: 0 })
    for (let n = 0; n < records; n += 20) {
      await producer.send(
        Array.from({ length: 20 }, (_, at) => ({ data: `r${n + at}`, partition: (n + at) % partitions })),
      )
    }
  })()
  for (let at = 0; at < consumers; at++) {
    join(`c${at}`)
    const joined = readers.at(-1) as (typeof readers)[number]
    while (joined.taken === 0 && acknowledged.size < records / 2) await sleep(5)
  }
  const held = local.status().topics.work.groups.g.logs.map(({ holder }: { holder: string }) => holder) as string[]
  t.ok(new Set(held).size > consumers / 2, `${new Set(held).size} hold partitions`)
  await producing
  while (acknowledged.size < records) await sleep(5)
  for (const { stop } of readers) stop.abort()
  await Promise.all(readers.map(({ done }) => done))
  t.equal(acknowledged.size, records, 'each came')
  t.strictSame(again, [])
  t.strictSame(disordered, [], 'and in order')
})
