/**
 * Produce with durability `disk`, in batches and one record a request, into a broker on each HTTP engine and into Redis Streams,
 * which its own `redis-benchmark` loads. Sides take turns.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

import { skipWithout, tools, underUws } from '#test/tools'

import type { Bench } from '../../measure.ts'
import { Scope } from '#test/scope'
import { startBroker } from '../../load/broker.ts'
import { startRedis, type Redis } from './redis.ts'
import { report, takeTurns, type Figure } from '../../load/rounds.ts'
import { bodyOf, recordBytes } from '../../load/records.ts'

const connections = 32

/** By work: records a request, and requests a round. */
const works = {
  'produce-batch-disk': { records: 500, requests: { quick: 600, full: 2_000 } },
  'produce-single-disk': { records: 1, requests: { quick: 20_000, full: 60_000 } },
} as const

type Engine = 'node' | 'uws'

export async function compareEngines(bench: Bench): Promise<void> {
  const without = skipWithout(tools.uws)
  const engines: readonly Engine[] = without === false ? ['node', 'uws'] : ['node']
  if (without !== false) bench.say(`SKIPPED: ${without}, nothing is measured with uws`)
  const rounds = bench.quick ? 3 : 5
  const scope = new Scope()
  try {
    const redis = await startRedis(bench, scope, 1, recordBytes)
    const ports = new Map<Engine, Awaited<ReturnType<typeof startBroker>>>()
    for (const engine of engines) {
      const broker = await startBroker(scope, join(bench.folder, engine), {
        topics: 'load:partitions=4:durability=disk',
        env: { MEMORY_BYTES: '64MiB', HTTP_ENGINE: engine },
        ...(engine === 'uws' ? { under: underUws() } : {}),
      })
      ports.set(engine, broker)
    }
    for (const [work, { records, requests }] of Object.entries(works)) {
      const count = requests[bench.quick ? 'quick' : 'full']
      const body = bodyOf(records, recordBytes)
      const contestants: Record<string, () => Promise<number>> = {}
      for (const [engine, broker] of ports) {
        contestants[engine] = async () => {
          const startedMs = performance.now()
          await broker.load('/produce?topic=load', body, count, connections)
          return (1_000 * count * records) / (performance.now() - startedMs)
        }
      }
      if (redis !== undefined) {
        contestants['redis'] = () => redisBenchmark(redis, count * records, Math.min(records, 512))
      }
      for (const warm of Object.values(contestants)) await warm()
      const figures: Partial<Record<string, Figure>> = await takeTurns(bench, rounds, contestants)
      for (const engine of engines) {
        const figure = figures[engine]
        if (figure === undefined) continue
        const peers = { 'redis-benchmark, appendfsync everysec': figures['redis'] }
        const extra = { engine, connections, batch: records }
        if (figures['redis'] === undefined) {
          bench.report({ work, unit: 'records/s', value: figure.median, spread: figure.spread, ...extra })
        } else report(bench, work, 'records/s', figure, peers, extra)
        if (engine === 'uws') report(bench, work, 'records/s', figure, { 'engine node': figures['node'] }, extra)
      }
    }
  } finally {
    await scope.end()
  }
}

/** Records a second, by the peer's own load tool. */
async function redisBenchmark(redis: Redis, records: number, pipeline: number): Promise<number> {
  const args = [
    '-p',
    String(redis.portOf('disk')),
    '-c',
    String(connections),
    '-P',
    String(pipeline),
    '-n',
    String(records),
  ]
  const xadd = ['XADD', 'stream', '*', 'd', 'x'.repeat(recordBytes)]
  const child = spawn('redis-benchmark', [...args, '--csv', ...xadd], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (data: Buffer) => (text += data.toString()))
  await once(child, 'close')
  await redis.empty('disk')
  // "XADD …","390000.00", … in the last line
  const rate = Number(/","([\d.]+)"/.exec(text.trim().split('\n').at(-1) ?? '')?.[1])
  if (!(rate > 0)) throw new Error(`redis-benchmark says ${text.slice(0, 200)}`)
  return rate
}
