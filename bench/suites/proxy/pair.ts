/** A broker, and a proxy in front of it: the same broker is asked with and without the proxy. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { startRole, type Scope, type StartedRole } from '#test/start'

export interface Pair {
  readonly broker: StartedRole
  readonly proxy: StartedRole
}

/** Its topic is `telemetry`: four partitions, written before they are acknowledged, not synced. */
export async function startPair(scope: Scope, folder: string): Promise<Pair> {
  const broker = await startRole(scope, 'broker', {
    env: {
      DATA_DIR: join(folder, 'broker'),
      TOPICS: 'telemetry:partitions=4:durability=disk',
      MEMORY_BYTES: '64MiB',
      LOG_LEVEL: 'info',
    },
  })
  const proxy = await startRole(scope, 'proxy', { env: { BROKERS: broker.url, LOG_LEVEL: 'info' } })
  return { broker, proxy }
}

/** Processor ticks are hundredths of a second on every Linux that Node runs on. */
const ticksPerSecond = 100

/** Seconds that a process has been on a processor so far, its own code and the kernel's for it. */
export async function cpuSecondsOf({ pid }: StartedRole): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The name, in parentheses, may hold spaces. utime and stime are the fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}
