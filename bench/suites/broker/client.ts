/** Our client: records with their ids and their text, unparsed, in a group that acknowledges as it goes; beside NATS's client. */

import { Client } from '#wire/client'

import { recordBytes } from '../../load/records.ts'
import { takeTurns, type Figure } from '../../load/rounds.ts'
import { consume } from '../groups/consume.ts'
import { filled } from './consume.ts'
import { reportWith } from './produce.ts'
import type { Stage } from './stage.ts'

export async function consumeClient(stage: Stage): Promise<void> {
  const { bench } = stage
  const records = bench.quick ? 500_000 : 2_000_000
  const all = await filled(stage, 'memory', '640MiB', records)
  const contestants: Record<string, () => Promise<number | undefined>> = {}
  let groups = 0
  for (const [engine, { broker }] of all) {
    const client = new Client({ url: broker.role.url })
    contestants[engine] = async () => {
      const startedMs = performance.now()
      await consume(client, records, { topic: 'load', group: `client-${groups++}` })
      return (1000 * records) / (performance.now() - startedMs)
    }
  }
  const hows: Record<string, string> = {}
  const nats = await stage.nats('disk')
  if (nats !== undefined) {
    await nats.filled(records / 2, recordBytes)
    hows['jetstream'] = 'nats.go, ordered consumer, nothing acknowledged'
    contestants['jetstream'] = () => nats.consume(records / 2)
    hows['jetstream-fetch'] = 'nats.go, fetches of 1,000, nothing acknowledged'
    contestants['jetstream-fetch'] = () => nats.fetch(records / 2)
  }
  const kafka = bench.quick ? undefined : await stage.kafka()
  if (kafka !== undefined) {
    const count = 5_000_000
    const topic = await kafka.filled(count, recordBytes)
    hows['kafka'] = 'ConsumerPerformance, fetch alone'
    contestants['kafka'] = () => kafka.consume(topic, count)
  }
  for (const name of Object.keys(contestants)) if (name !== 'kafka') await contestants[name]?.()
  const figures: Partial<Record<string, Figure>> = await takeTurns(bench, bench.quick ? 2 : 3, contestants)
  const { jetstream, 'jetstream-fetch': fetched, kafka: ofKafka } = figures
  const peers = { jetstream, 'jetstream-fetch': fetched, kafka: ofKafka }
  for (const [engine] of all) {
    const figure = figures[engine]
    const extra = { engine, records, record_bytes: recordBytes, max_in_flight: 10_000 }
    if (figure !== undefined) reportWith(stage, 'consume-client', figure, peers, hows, extra)
  }
}
