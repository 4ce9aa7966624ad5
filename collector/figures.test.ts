import { test } from 'tap'
import { createMetrics } from '#lib/metrics'
import { noCounts, type WriteBatch } from '#store/store'
import type { TransferRecord } from '#telemetry/record'
import { createFigures } from './figures.ts'

function transfer(over: Partial<TransferRecord>): TransferRecord {
  const own = {
    id: '1',
    site: 'A',
    source: '',
    destination: '',
    bytes: 1000,
    duration_s: 2,
    status: 'success',
    error: '',
  }
  return { kind: 'transfer', time: '2026-01-01T00:00:00Z', ...own, ...over }
}

function batchOf(records: readonly TransferRecord[]): WriteBatch {
  const part = {
    logId: 'l',
    broker: 0,
    partition: 0,
    offsets: records.map((_, at) => at),
    dead: [],
    next: records.length,
  }
  return { topic: 'transfers', parts: [{ ...part, records }] }
}

test('transfers that were written are told by site: how many, how much, how long, how fresh', async (t) => {
  const metrics = createMetrics('collector')
  const figures = createFigures(metrics, () => 5_000)
  const records = [
    transfer({ time: '1970-01-01T00:00:09Z' }),
    transfer({ time: '1970-01-01T00:00:07Z', status: 'failed', bytes: null, duration_s: null }),
    ...Array.from({ length: 150 }, (_, at) => transfer({ site: `other-${at}`, bytes: 1 })),
  ]
  figures.of('transfers').written(batchOf(records), { ...noCounts, received: 152, stored: 152 }, 0.1)
  const { body } = await metrics.text()
  for (const line of [
    'penstock_transfers_total{site="A",result="success",role="collector"} 1',
    'penstock_transfers_total{site="A",result="failed",role="collector"} 1',
    'penstock_transfer_bytes_total{site="A",role="collector"} 1000',
    'penstock_transfer_duration_seconds_sum{site="A",role="collector"} 2',
    'penstock_transfer_newest_timestamp_seconds{site="A",role="collector"} 9',
    'penstock_transfers_total{site="other",result="success",role="collector"} 51',
    'penstock_collector_last_write_timestamp_seconds{topic="transfers",role="collector"} 5',
    'penstock_collector_write_records_sum{topic="transfers",role="collector"} 152',
  ])
    t.ok(body.includes(`${line}\n`), line)
})

test('whether the store works is asked at each scrape', async (t) => {
  const metrics = createMetrics('collector')
  let isWell = true
  createFigures(metrics, () => 0).watch(() => 7, { store: () => isWell, dead_letters: () => true })
  t.match((await metrics.text()).body, /penstock_collector_works\{what="store",role="collector"\} 1\n/)
  isWell = false
  t.match((await metrics.text()).body, /penstock_collector_works\{what="store",role="collector"\} 0\n/)
  t.match((await metrics.text()).body, /penstock_collector_pending_records\{role="collector"\} 7\n/)
})
