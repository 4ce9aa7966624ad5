/**
 * Our client on a broker in a process of its own: records with their ids and their text, which nobody parses, handed to a
 * callback. In a group, acknowledged as they come, one cumulative request at a time; and without one.
 *
 * The limit is what no client can save: the same bytes, of a process that does nothing else, fetched and decoded to text. The
 * peer is NATS JetStream, which hands the same records to a callback as text; its ordered consumer acknowledges none, and so
 * stands beside our reader without a group.
 */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { start } from '#test/start'
import { Client, type ConsumerOptions, type Message } from '#wire/client'

import type { Bench } from '../../measure.ts'
import { Scope } from '#test/scope'
import { startBroker } from '../../load/broker.ts'
import { report, takeTurns, type Figure } from '../../load/rounds.ts'
import { batchRecords, bodyOf, recordBytes } from '../../load/records.ts'
import { startJetStream, type JetStream } from './nats.ts'

const topic = 'load'
const partitions = 4

export async function consumeClient(bench: Bench): Promise<void> {
  const records = bench.quick ? 200_000 : 1_000_000
  const rounds = bench.quick ? 3 : 7
  bench.say(`consume: ${records.toLocaleString('en-US')} records of ${recordBytes} bytes`)
  const scope = new Scope()
  try {
    // The ring holds all of it: what is measured is the wire and the client.
    const { role, load } = await startBroker(scope, join(bench.folder, 'consume'), {
      topics: `${topic}:partitions=${partitions}:durability=disk`,
      env: { MEMORY_BYTES: '512MiB' },
    })
    const path = (at: number): string => `/produce?topic=${topic}&partition=${at % partitions}`
    await load(path, bodyOf(batchRecords, recordBytes), records / batchRecords, 16)

    const bytes = await streamOf(`${role.url}/consume?topic=${topic}&from=earliest`, records)
    const file = join(bench.folder, 'stream')
    await writeFile(file, bytes)
    const plain = start(scope, process.execPath, [fileURLToPath(import.meta.resolve('./plain.ts')), file])
    const plainUrl = await plain.waitFor(/^http:/)

    const jetStream = await startJetStream(bench, scope)
    await jetStream?.load(bodyOf(1, recordBytes).subarray(0, -1), records)

    const client = new Client({ url: role.url })
    let groups = 0
    const inGroup = (maxInFlight?: number) => () =>
      rateOf(records, () => consume(client, records, { topic, group: `g-${groups++}`, maxInFlight }))
    const contestants: Record<string, () => Promise<number>> = {
      group: inGroup(),
      wide: inGroup(records),
      reader: () => rateOf(records, () => consume(client, records, { topic, from: 'earliest' })),
      ...(jetStream && { jetstream: () => rateOf(records, () => consumeFrom(jetStream, records)) }),
      limit: () => rateOf(records, () => decode(plainUrl, bytes.length)),
    }
    for (const warm of Object.values(contestants)) await warm()
    const figures: Partial<Record<string, Figure>> = await takeTurns(bench, rounds, contestants)
    const peers = {
      'fetch and decode': figures['limit'],
      'NATS JetStream, ordered consumer': figures['jetstream'],
    }
    const extra = { records, bytes_a_record: Math.round(bytes.length / records), nats_server: jetStream?.version }
    const ours = { group: { max_in_flight: 10_000 }, wide: { max_in_flight: records }, reader: {} }
    for (const [name, settings] of Object.entries(ours)) {
      const figure = figures[name]
      if (figure === undefined) continue
      const work = name === 'group' ? 'consume-client' : `consume-client-${name}`
      report(bench, work, 'records/s', figure, peers, { ...extra, ...settings })
    }
  } finally {
    await scope.end()
  }
}

async function rateOf(records: number, work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return (1000 * records) / (performance.now() - startedMs)
}

/** Reads so many records, acknowledging as it goes where it is in a group. */
export async function consume(client: Client, records: number, options: ConsumerOptions): Promise<void> {
  const consumer = client.consumer(options)
  const lasts = new Map<number, string>()
  let acking: Promise<void> | undefined
  // Also what came while the last request was under way: beyond max_in_flight nothing comes that would say so.
  const acknowledge = async (): Promise<void> => {
    while (lasts.size > 0) {
      const ids = [...lasts.values()]
      lasts.clear()
      await consumer.ack(ids)
    }
    acking = undefined
  }
  let characters = 0
  const onRecord = ({ id, data }: Message): void => {
    characters += id.length + data.length
  }
  let seen = 0
  for await (const messages of consumer.batches()) {
    for (const message of messages) onRecord(message)
    seen += messages.length
    if (options.group !== undefined) {
      for (const [at, { partition, id }] of messages.entries()) {
        if (messages[at + 1]?.partition !== partition) lasts.set(partition, id)
      }
      acking ??= acknowledge()
    }
    if (seen >= records) {
      // What is in flight when the connection ends is this consumer's no more.
      await acking
      break
    }
  }
  if (seen !== records || characters < records * recordBytes) throw new Error(`saw ${seen} of ${records} records`)
}

async function consumeFrom(jetStream: JetStream, records: number): Promise<void> {
  let characters = 0
  await jetStream.consume(records, (text) => {
    characters += text.length
  })
  if (characters !== records * recordBytes) throw new Error(`${characters} characters of ${records} records`)
}

/** The bytes of a stream up to and with so many records of one line. */
export async function streamOf(url: string, records: number): Promise<Buffer> {
  const stop = new AbortController()
  const { body } = await fetch(url, { signal: stop.signal })
  const pieces: Uint8Array[] = []
  let seen = 0
  let before = 0
  for await (const piece of body ?? []) {
    pieces.push(piece)
    // An empty line ends a record, and stands nowhere else.
    for (const byte of piece) {
      if (byte === 10 && before === 10) seen++
      before = byte
    }
    if (seen >= records) break
  }
  stop.abort()
  return Buffer.concat(pieces)
}

async function decode(url: string, bytes: number): Promise<void> {
  const { body } = await fetch(url)
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let characters = 0
  for await (const piece of body ?? []) characters += decoder.decode(piece, { stream: true }).length
  if (characters !== bytes) throw new Error(`${characters} characters of ${bytes} bytes`)
}
