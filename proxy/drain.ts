/** `PUT /drain` and `DELETE /drain`: a broker is to be emptied, or is one as the others again. The broker itself keeps that. */

import type { Answer, Request } from '#lib/http/http'
import { query, readQuery } from '#lib/http/query'
import type { Ordinal } from '#wire/ids'
import { Problem } from '#wire/problems'

import { broadcast } from './broadcast.ts'
import type { Gateway } from './forward.ts'
import type { Probe } from './members.ts'

/**
 * Tells one broker. The other proxies hear of it by their probes.
 *
 * @throws Problem `bad_parameter` for a broker that is not known, or the last one that takes records; `unavailable` when it
 *   does not answer
 */
export async function forwardDrain(gateway: Gateway, request: Request): Promise<Answer> {
  const { broker } = readQuery(request, { broker: query.integer({ min: 0, required: true }) })
  const { members } = gateway.cluster
  const member = members.byOrdinal(broker as Ordinal)
  const draining = request.method === 'PUT'
  if (member === undefined) {
    const known = members.all.flatMap(({ ordinal }) => ordinal ?? []).sort((a, b) => a - b)
    throw new Problem('bad_parameter', `broker=${broker} is not known: there are ${known.join(', ')}`)
  }
  if (draining && !members.all.some((each) => each !== member && each.state === 'up' && each.writable)) {
    throw new Problem('bad_parameter', `broker ${broker} cannot be emptied: no other broker takes records now`)
  }
  const method = draining ? 'PUT' : 'DELETE'
  await broadcast(gateway, request, {
    method,
    pathOf: (each) => (each === member ? `/drain?broker=${broker}` : undefined),
  })
  // At once, without a round of probes in between.
  const probe: Probe = { kind: 'ready', ordinal: broker as Ordinal, draining }
  members.probed(member.url, member.writable ? probe : { ...probe, kind: 'not_ready', reason: member.reason })
  return { json: { broker, draining } }
}
