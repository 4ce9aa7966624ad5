/**
 * `npm run bench -- groups [part …]`: groups, in parts.
 *
 * - `consume-client`: records a second through our client in a group, against the same bytes of a plain HTTP answer, and
 *   against NATS JetStream where there is a nats-server.
 * - `acks`: acknowledgements a second, single and cumulative, of 1 and of 100 groups, against `GET /health`.
 * - `in-flight`: what a million records in flight take of memory and of an acknowledgement's time, against a thousand.
 */

import type { Bench } from '../measure.ts'
import { acks } from './groups/acks.ts'
import { consumeClient } from './groups/consume.ts'
import { inFlight } from './groups/in-flight.ts'

const parts: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  'consume-client': consumeClient,
  acks,
  'in-flight': inFlight,
}

export async function run(bench: Bench): Promise<void> {
  const unknown = bench.parts.filter((part) => parts[part] === undefined)
  if (unknown.length > 0) throw new Error(`no part ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`)
  for (const [name, part] of Object.entries(parts)) {
    if (bench.parts.length === 0 || bench.parts.includes(name)) await part(bench)
  }
}
