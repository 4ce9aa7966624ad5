/**
 * A broker with 1, 100 and 10,000 partitions and a backlog of ten million records over them: records a second in, what it keeps
 * resident against `MEMORY_BYTES` and 100 MiB, and how long a start takes: after `kill -9`, which leaves the last segment of each
 * partition to be read, and after a stop. The page cache is warm.
 */

import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

import { Scope } from '#test/scope'

import { recordsIn, type LoadedBroker } from '../../load/broker.ts'
import { batchRecords, bodyOf, recordBytes } from '../../load/records.ts'
import type { Engine, Stage } from './stage.ts'

const mib = 1 << 20

/** What the whole process may have beyond the ring. */
const besideBytes = 100 * mib

const topic = 'many'
const pollMs = 20
const memoryBytes = 256 * mib
const connections = 32

export async function partitions(stage: Stage): Promise<void> {
  for (const count of [1, 100, 10_000]) await backlogOver(stage, count)
}

/** The part of it for one number of partitions. */
export async function backlogOver(stage: Stage, count: number): Promise<void> {
  for (const engine of stage.engines) {
    const scope = new Scope()
    try {
      await one(stage, scope, engine, count)
    } finally {
      await scope.end()
    }
  }
}

async function one(stage: Stage, scope: Scope, engine: Engine, count: number): Promise<void> {
  const { bench } = stage
  const records = bench.quick ? 500_000 : 10_000_000
  const extra = { engine, partitions: count, records, durability: 'disk' }
  bench.say(`partitions: ${count} of them, ${records.toLocaleString('en-US')} records, ${engine}`)
  const start = (): Promise<LoadedBroker> =>
    stage.startBroker(
      `partitions-${count}-${engine}`,
      engine,
      { topics: `${topic}:partitions=${count}:durability=disk`, memory: `${memoryBytes / mib}MiB`, awaitReady: false },
      scope,
    )
  const seconds = (work: string, value: number): void => bench.report({ work, unit: 's', value, ...extra })
  const resident = (work: string, bytes: number): void => {
    const [peer, peerValue] = ['MEMORY_BYTES + 100 MiB', (memoryBytes + besideBytes) / mib]
    bench.report({ work, unit: 'MiB', value: bytes / mib, peer, peer_value: peerValue, ...extra })
  }

  await compile(stage, scope, engine)
  const fresh = await start()
  seconds('partitions-made', await opened(fresh))
  let highest = await residentBytes(fresh)
  const watch = setInterval(() => {
    residentBytes(fresh).then(
      (bytes) => (highest = Math.max(highest, bytes)),
      () => {},
    )
  }, 250)
  try {
    const body = bodyOf(batchRecords, recordBytes)
    const path = (at: number): string => `/produce?topic=${topic}&partition=${at % count}`
    const load = await fresh.load(path, body, records / batchRecords, connections)
    bench.report({ work: 'partitions-produce', unit: 'records/s', value: records / load.seconds, ...extra })
  } finally {
    clearInterval(watch)
  }
  const backlog = await recordsIn(fresh, topic)
  if (backlog !== records) throw new Error(`the backlog is ${backlog} records of ${records}`)
  resident('backlog-resident', Math.max(highest, await residentBytes(fresh)))

  await fresh.role.kill('SIGKILL')
  const recovered = await start()
  seconds('recovery-killed', await opened(recovered))
  const kept = await recordsIn(recovered, topic)
  if (kept !== records) throw new Error(`${kept} records of ${records} are there after kill -9`)
  resident('recovery-resident', await residentBytes(recovered))
  const stoppedMs = performance.now()
  await recovered.role.kill('SIGTERM')
  seconds('stop', (performance.now() - stoppedMs) / 1000)
  const again = await start()
  seconds('recovery-stopped', await opened(again))
  await again.role.kill('SIGKILL')
}

/**
 * Runs a broker to its clean end, which keeps what Node has compiled: in a checkout that has changed the first one loads what strips
 * types from the sources, some 25 MiB, which an installed package does not have.
 */
async function compile(stage: Stage, scope: Scope, engine: Engine): Promise<void> {
  const options = { topics: `${topic}:partitions=1`, memory: '8MiB' }
  const { role } = await stage.startBroker(`compile-${engine}`, engine, options, scope)
  await role.kill('SIGTERM')
}

/** Waits until the logs are open; how many seconds that took, as the broker says itself. */
async function opened({ role }: LoadedBroker): Promise<number> {
  const line = await role.waitFor((text) => text.includes('the logs are open'), 600_000)
  while (!(await fetch(`${role.url}/ready`)).ok) await sleep(pollMs)
  return (JSON.parse(line) as { readonly recovery_ms: number }).recovery_ms / 1000
}

async function residentBytes({ role }: LoadedBroker): Promise<number> {
  const status = await readFile(`/proc/${role.pid}/status`, 'utf8')
  return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1])
}
