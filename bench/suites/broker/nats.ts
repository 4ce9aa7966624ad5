/** NATS JetStream: a nats-server with a stream in files, loaded by its own client (bench/peers/nats). */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { start, type Scope } from '#test/start'

import { madeFolder, natsFolder } from '../../peers/parts.ts'
import { outputOf } from './output.ts'
import type { Durability } from './stage.ts'

const server = join(natsFolder, 'nats-server')
const loader = join(natsFolder, 'loader')

export const natsNeeds = [server, loader]

/** Of when a record was due. */
export interface Latencies {
  readonly p50_ms: number
  readonly p99_ms: number
  readonly p999_ms: number
  readonly max_ms: number
}

export interface JetStream {
  /** When the server syncs. */
  readonly how: string
  /** Records a second, by so many publishers with 4,000 unanswered each; the stream is made anew. */
  publish(records: number, recordBytes: number, publishers: number): Promise<number>
  /** Records a second, by so many publishers that wait for each answer. */
  publishSync(records: number, recordBytes: number, publishers: number): Promise<number>
  /** Records a second of what was published last, by the ordered consumer. */
  consume(records: number): Promise<number>
  /** The same by fetches of a thousand. */
  fetch(records: number): Promise<number>
  latency(perSecond: number, seconds: number, recordBytes: number): Promise<Latencies>
}

export async function startNats(scope: Scope, folder: string, durability: Durability): Promise<JetStream> {
  const own = await madeFolder(folder, `nats-${durability}`)
  // Without it the server answers first, and syncs every two minutes.
  const sync = durability === 'fsync' ? ', sync_interval: always' : ''
  const config = join(own, 'nats.conf')
  await writeFile(config, `listen: "127.0.0.1:-1"\njetstream: { store_dir: "${own}"${sync} }\n`)
  const started = start(scope, server, ['--config', config], { cwd: own })
  const line = await started.waitFor(/Listening for client connections/)
  const url = `nats://127.0.0.1:${line.slice(line.lastIndexOf(':') + 1).trim()}`

  const run = async (work: string, options: Readonly<Record<string, number>>): Promise<unknown> => {
    const flags = Object.entries(options).flatMap(([name, value]) => [`-${name}`, String(value)])
    return JSON.parse(await outputOf(loader, [work, '-url', url, ...flags]))
  }
  const rate = async (work: string, options: Readonly<Record<string, number>>): Promise<number> =>
    ((await run(work, options)) as { readonly per_s: number }).per_s
  return {
    how: durability === 'fsync' ? 'sync_interval always' : 'sync_interval as by default',
    publish: (n, size, publishers) => rate('publish', { n, size, publishers }),
    publishSync: (n, size, publishers) => rate('sync', { n, size, publishers }),
    consume: (n) => rate('consume', { n }),
    fetch: (n) => rate('fetch', { n }),
    latency: async (perSecond, seconds, size) =>
      (await run('latency', { rate: perSecond, seconds, size })) as Latencies,
  }
}
