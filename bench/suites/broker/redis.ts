/** Redis Streams: a redis-server for each way to sync, loaded by `redis-benchmark`. */

import { freePort } from '#test/listen'
import { start, type Scope } from '#test/start'

import { listening, madeFolder, missingOf } from '../../peers/parts.ts'
import { outputOf } from './output.ts'
import type { Durability } from './stage.ts'

/** What of `appendfsync` promises most nearly the same: `everysec` writes before it answers, and syncs within a second. */
const modes = { disk: 'everysec', fsync: 'always' } as const

/** Of an XADD, in one request. The best of them is what counts. */
export const pipelines = [64, 512]

/** Entries of one XRANGE. */
const rangeEntries = 1_000

export interface Redis {
  /** How it was loaded. */
  readonly how: string
  /** XADDs a second. */
  add(records: number, recordBytes: number, pipeline: number, connections: number): Promise<number>
  /** Entries a second, of a stream that holds some: the same XRANGE again and again. */
  read(records: number, recordBytes: number): Promise<number>
}

export const redisNeeds = ['redis-server', 'redis-benchmark']

export async function startRedis(scope: Scope, folder: string, durability: Durability): Promise<Redis> {
  const missing = missingOf(redisNeeds)
  if (missing.length > 0) throw new Error(`no ${missing.join(', ')}`)
  const mode = modes[durability]
  const own = await madeFolder(folder, `redis-${durability}`)
  const port = await freePort()
  // A rewrite of its file in the middle of a round would slow it down by a process that copies everything.
  const append = ['--appendonly', 'yes', '--appendfsync', mode, '--auto-aof-rewrite-percentage', '0']
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', own, ...append]
  await listening(start(scope, 'redis-server', args, { cwd: own }), port)

  const benchmark = async (options: readonly string[], command: readonly string[]): Promise<number> => {
    const text = await outputOf('redis-benchmark', ['-p', String(port), ...options, '--csv', ...command])
    // "XADD …","390000.00", … in the last line
    const rate = Number(/","([\d.]+)"/.exec(text.trim().split('\n').at(-1) ?? '')?.[1])
    if (!(rate > 0)) throw new Error(`redis-benchmark says ${text.slice(0, 200)}`)
    return rate
  }
  const xadd = (bytes: number): string[] => ['XADD', 'stream', '*', 'd', 'x'.repeat(bytes)]
  const empty = (): Promise<string> => outputOf('redis-cli', ['-p', String(port), 'FLUSHALL'])
  return {
    how: `appendfsync ${mode}`,
    async add(records, recordBytes, pipeline, connections) {
      const options = ['-c', String(connections), '-P', String(pipeline), '-n', String(records)]
      const rate = await benchmark(options, xadd(recordBytes))
      await empty()
      return rate
    },
    async read(records, recordBytes) {
      await benchmark(['-c', '8', '-P', '64', '-n', String(rangeEntries)], xadd(recordBytes))
      const options = ['-c', '1', '-P', '4', '-n', String(Math.ceil(records / rangeEntries))]
      const rate = await benchmark(options, ['XRANGE', 'stream', '-', '+', 'COUNT', String(rangeEntries)])
      await empty()
      return rate * rangeEntries
    },
  }
}
