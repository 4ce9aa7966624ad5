/**
 * 10,000 partitions of one broker process, from its start with an empty folder to a start on what it wrote: how long each
 * takes, and what it keeps in memory with a backlog over all of them, against `MEMORY_BYTES` and 100 MiB.
 */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { Client } from '#wire/client'

import type { Bench } from '../../measure.ts'
import { Scope } from '#test/scope'
import { startBroker, type LoadedBroker } from './http.ts'
import { batchRecords, bodyOf, recordBytes } from './work.ts'

const mib = 1 << 20

/** What the whole process may have beyond the ring. */
const besideBytes = 100 * mib

const topic = 'many'
const pollMs = 20

export async function partitions(bench: Bench): Promise<void> {
  const count = bench.quick ? 1000 : 10_000
  const records = bench.quick ? 500_000 : 10_000_000
  const memoryBytes = bench.quick ? 64 * mib : 256 * mib
  const folder = join(bench.folder, 'partitions')
  const start = async (scope: Scope, partitions: number): Promise<LoadedBroker> => {
    const topics = `${topic}:partitions=${partitions}`
    return startBroker(scope, folder, { topics, env: { MEMORY_BYTES: String(memoryBytes) }, awaitReady: false })
  }
  bench.say(`partitions: ${count} of them, ${records.toLocaleString('en-US')} records`)
  const scope = new Scope()
  try {
    const fresh = await start(scope, count)
    report(bench, 'partitions-made', 's', await opened(fresh), count)
    const idleBytes = await residentBytes(fresh)
    reportMemory(bench, 'partitions-idle', idleBytes, memoryBytes, { partitions: count })

    const body = bodyOf(batchRecords, recordBytes)
    let highestBytes = 0
    const watch = setInterval(() => {
      void residentBytes(fresh).then((bytes) => (highestBytes = Math.max(highestBytes, bytes)))
    }, 500)
    const batches = records / batchRecords
    const startedMs = performance.now()
    try {
      await fresh.load((at) => `/produce?topic=${topic}&partition=${at % count}`, body, batches, 32)
    } finally {
      clearInterval(watch)
    }
    const seconds = (performance.now() - startedMs) / 1000
    bench.report({ work: 'partitions-produce', unit: 'records/s', value: records / seconds, partitions: count })
    const backlog = (await backlogOf(fresh)).toLocaleString('en-US')
    bench.say(`backlog ${backlog} records`)
    highestBytes = Math.max(highestBytes, await residentBytes(fresh))
    reportMemory(bench, 'partitions-backlog', highestBytes, memoryBytes, { partitions: count, backlog })

    const stoppedMs = performance.now()
    await fresh.role.kill('SIGTERM')
    report(bench, 'partitions-closed', 's', (performance.now() - stoppedMs) / 1000, count)
    const again = await start(scope, count)
    report(bench, 'partitions-opened', 's', await opened(again), count)
    reportMemory(bench, 'partitions-opened', await residentBytes(again), memoryBytes, { partitions: count })
  } finally {
    await scope.end()
  }
}

function report(bench: Bench, work: string, unit: string, seconds: number, partitions: number): void {
  bench.report({ work, unit, value: seconds, partitions, ms_a_partition: (1000 * seconds) / partitions })
}

function reportMemory(
  bench: Bench,
  work: string,
  bytes: number,
  memoryBytes: number,
  extra: Readonly<Record<string, unknown>>,
): void {
  const peer = 'MEMORY_BYTES + 100 MiB'
  bench.report({
    work: `${work}-resident`,
    unit: 'MiB',
    value: bytes / mib,
    peer,
    peer_value: (memoryBytes + besideBytes) / mib,
    ...extra,
  })
}

/** Waits until the logs are open; how many seconds that took, as the broker says itself. */
async function opened({ role }: LoadedBroker): Promise<number> {
  const line = await role.waitFor((text) => text.includes('the logs are open'), 600_000)
  for (;;) {
    if ((await fetch(`${role.url}/ready`)).ok) break
    await sleep(pollMs)
  }
  return (JSON.parse(line) as { readonly recovery_ms: number }).recovery_ms / 1000
}

async function backlogOf({ role }: LoadedBroker): Promise<number> {
  const topics = await new Client({ url: role.url }).topics()
  const logs = topics.find(({ name }) => name === topic)?.logs ?? []
  return logs.reduce((sum, log) => sum + (log.records ?? log.next - log.first), 0)
}

async function residentBytes({ role }: LoadedBroker): Promise<number> {
  const status = await readFile(`/proc/${role.pid}/status`, 'utf8')
  return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1])
}
