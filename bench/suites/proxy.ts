/**
 * `npm run bench -- proxy [part …]`: what the proxy costs, in parts.
 *
 * - `straight`: our client's producer to a broker, to it by the proxy's table, and through the proxy.
 * - `cpu`: CPU seconds per million records, of the broker alone and of broker and proxy.
 * - `latency`: what the proxy adds at a fixed rate of requests.
 */

import type { Bench } from '../measure.ts'
import { cpuOfProxy } from './proxy/cpu.ts'
import { addedLatency } from './proxy/latency.ts'
import { straightPath } from './proxy/straight.ts'

const parts: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  straight: straightPath,
  cpu: cpuOfProxy,
  latency: addedLatency,
}

export async function run(bench: Bench): Promise<void> {
  const unknown = bench.parts.filter((part) => parts[part] === undefined)
  if (unknown.length > 0) throw new Error(`no part ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`)
  for (const [name, part] of Object.entries(parts)) {
    if (bench.parts.length === 0 || bench.parts.includes(name)) await part(bench)
  }
}
