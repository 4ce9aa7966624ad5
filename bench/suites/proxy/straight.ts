/** Records a second of our client's producer, in sends of 500 records of 200 bytes to four partitions. */

import { join } from 'node:path'

import { Client } from '#wire/client'

import type { Bench } from '../../measure.ts'
import { Scope } from '#test/scope'
import { report, takeTurns } from '../../load/rounds.ts'
import { batchRecords, recordBytes } from '../../load/records.ts'
import { startPair } from './pair.ts'

const partitions = 4

export async function straightPath(bench: Bench): Promise<void> {
  const records = bench.quick ? 20_000 : 400_000
  const rounds = bench.quick ? 9 : 11
  const scope = new Scope()
  bench.say('straight: our producer to a broker, to it by the table, and through the proxy')
  try {
    const { broker, proxy } = await startPair(scope, join(bench.folder, 'straight'))
    const contestants = {
      straight: producing(new Client({ url: proxy.url, straight: true }), records),
      direct: producing(new Client({ url: broker.url }), records),
      through: producing(new Client({ url: proxy.url }), records),
    }
    for (const warm of Object.values(contestants)) await warm()
    const { straight, direct, through } = await takeTurns(bench, rounds, contestants)
    report(bench, 'produce-straight', 'records/s', straight, { direct })
    report(bench, 'client-through-proxy', 'records/s', through, { direct })
  } finally {
    await scope.end()
  }
}

function producing(client: Client, records: number): () => Promise<number> {
  const data = '7'.repeat(recordBytes - 1)
  const sends = Array.from({ length: partitions }, (_, partition) =>
    Array.from({ length: batchRecords }, () => ({ data, partition })),
  )
  return async () => {
    const producer = client.producer({ topic: 'telemetry' })
    const startedMs = performance.now()
    const open: Promise<void>[] = []
    for (let sent = 0; sent < records; sent += batchRecords) {
      await producer.ready()
      open.push(producer.send(sends[(sent / batchRecords) % partitions] ?? []))
    }
    await Promise.all(open)
    const rate = (1000 * records) / (performance.now() - startedMs)
    await producer.close()
    return rate
  }
}
