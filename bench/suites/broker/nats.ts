/** NATS JetStream: a nats-server with a stream in files, loaded by its own client (bench/peers/nats). */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { start, type Scope } from '#test/start'

import type { Latencies } from '../../load/quantile.ts'
import { madeFolder, natsFolder } from '../../peers/parts.ts'
import { outputOf } from './output.ts'
import type { Durability } from './stage.ts'

const server = join(natsFolder, 'nats-server')
const loader = join(natsFolder, 'loader')

export const natsNeeds = [server, loader]

export interface JetStream {
  /** When the server syncs. */
  readonly how: string
  /** Records a second, by so many publishers with 4,000 unanswered each; the stream is made anew. */
  publish(records: number, recordBytes: number, publishers: number): Promise<number>
  /** Records a second, by so many publishers that wait for each answer. */
  publishSync(records: number, recordBytes: number, publishers: number): Promise<number>
  /** Sees that the stream holds so many records; others may have published them. */
  filled(records: number, recordBytes: number): Promise<void>
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
  /** What the stream holds. */
  let held = { records: 0, recordBytes: 0 }
  const nats: JetStream = {
    how: durability === 'fsync' ? 'sync_interval always' : 'sync_interval as by default',
    publish(n, size, publishers) {
      held = { records: n, recordBytes: size }
      return rate('publish', { n, size, publishers })
    },
    publishSync(n, size, publishers) {
      held = { records: n, recordBytes: size }
      return rate('sync', { n, size, publishers })
    },
    async filled(records, recordBytes) {
      if (held.recordBytes !== recordBytes || held.records < records) await nats.publish(records, recordBytes, 4)
    },
    consume: (n) => rate('consume', { n }),
    fetch: (n) => rate('fetch', { n }),
    async latency(perSecond, seconds, size) {
      held = { records: 0, recordBytes: 0 }
      return (await run('latency', { rate: perSecond, seconds, size })) as Latencies
    },
  }
  return nats
}
