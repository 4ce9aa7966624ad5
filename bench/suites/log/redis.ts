/** Redis Streams, of a redis-server that the suite starts: the same records, `XADD` pipelined a batch at a time. */

import { spawn } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import type { Durability } from '#broker/log/types'
import { freePort } from '#test/listen'
import { start, type Scope } from '#test/start'

import type { Bench } from '../../measure.ts'
import { Connection, loadOver } from '../../load/socket.ts'

/** What of Redis promises most nearly the same: `everysec` writes before it answers, and syncs within a second. */
const modes = { memory: 'no', disk: 'everysec', fsync: 'always' } as const

const streams = 4

export interface Redis {
  /** What `appendfsync` is, or `no` append-only file at all, by durability. */
  readonly mode: Readonly<Record<Durability, string>>
  load(durability: Durability, batches: number, connections: number): Promise<void>
  empty(durability: Durability): Promise<void>
  portOf(durability: Durability): number
}

/** Starts a server a durability; `undefined`, and says so, where there is no redis-server. */
export async function startRedis(
  bench: Bench,
  scope: Scope,
  batchRecords: number,
  recordBytes: number,
): Promise<Redis | undefined> {
  if (!(await hasRedis())) {
    bench.say('SKIPPED: no redis-server on the PATH, nothing is compared with Redis Streams')
    return undefined
  }
  const ports = new Map<Durability, number>()
  for (const durability of ['memory', 'disk', 'fsync'] as const) {
    ports.set(durability, await startServer(scope, join(bench.folder, `redis-${durability}`), modes[durability]))
  }
  const batchesOf = Array.from({ length: streams }, (_, stream) => {
    const one = command('XADD', `stream-${stream}`, '*', 'd', 'x'.repeat(recordBytes))
    return Buffer.from(one.repeat(batchRecords))
  })
  // A bulk string a record: its length, then the id of the record.
  const lines = 2 * batchRecords
  return {
    mode: modes,
    portOf: (durability) => ports.get(durability) as number,
    load: (durability, batches, connections) =>
      loadOver(ports.get(durability) as number, connections, batches, async (connection, at) => {
        const answer = await connection.ask(batchesOf[at % streams] as Buffer, (bytes) => linesIn(bytes) >= lines)
        if (answer[0] !== 36) throw new Error(answer.toString('utf8', 0, 200))
      }),
    async empty(durability) {
      const connection = await Connection.open(ports.get(durability) as number)
      await connection.ask(Buffer.from(command('FLUSHALL')), (bytes) => linesIn(bytes) >= 1)
      connection.close()
    },
  }
}

async function hasRedis(): Promise<boolean> {
  const child = spawn('redis-server', ['--version'], { stdio: 'ignore' })
  return new Promise((resolve) => {
    child.on('error', () => resolve(false))
    child.on('exit', (code) => resolve(code === 0))
  })
}

async function startServer(scope: Scope, folder: string, mode: string): Promise<number> {
  await mkdir(folder)
  const port = await freePort()
  // A rewrite of the file in the middle of a round would slow it down by a process that copies it all.
  const append = ['--appendonly', 'yes', '--appendfsync', mode, '--auto-aof-rewrite-percentage', '0']
  const appendOnly = mode === 'no' ? ['--appendonly', 'no'] : append
  start(
    scope,
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder, ...appendOnly],
    {
      cwd: folder,
    },
  )
  for (let tried = 0; ; tried++) {
    try {
      const connection = await Connection.open(port)
      await connection.ask(Buffer.from(command('PING')), (bytes) => bytes.includes('+PONG'))
      connection.close()
      return port
    } catch (error) {
      if (tried === 100) throw error
      await sleep(50)
    }
  }
}

function command(...words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`
}

function linesIn(bytes: Buffer): number {
  let lines = 0
  for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, at + 1)) lines++
  return lines
}
