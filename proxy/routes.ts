/** The HTTP face of the proxy: the broker's, over all brokers, and the ring. */

import type { Route } from '#lib/http/http'
import type { MemberStatus } from '#wire/status'

import type { FanIns } from './consume.ts'
import { forwardDrain } from './drain.ts'
import { forwardAck, forwardDead, forwardProduce, type Gateway } from './forward.ts'
import { forwardGroupDelete, forwardSeek } from './groups.ts'
import { forwardDeal, forwardLetters } from './letters.ts'
import { allTopics } from './look.ts'
import type { Stats } from './stats.ts'
import { tellTable, withVersion } from './table.ts'
import { forwardTopic } from './topics.ts'

/** An acknowledgement of 10,000 ids of the longest kind. */
const ackBytesMax = 512 * 1024

/** The options of a topic, written as long as can be. */
const optionsBytesMax = 4_096

/** The routes of a proxy, but those that every role has. */
export function proxyRoutes(gateway: Gateway, fanIns: FanIns, bodyBytesMax: number): Route[] {
  return [
    {
      method: 'POST',
      path: '/produce',
      bodyBytesMax,
      handle: async (request, body) => withVersion(gateway, await forwardProduce(gateway, request, body)),
    },
    { method: 'POST', path: '/dead', bodyBytesMax, handle: (request, body) => forwardDead(gateway, request, body) },
    { method: 'GET', path: '/dead', handle: (request) => forwardLetters(gateway, request) },
    ...(['/dead/retry', '/dead/drop'] as const).map((path): Route => ({
      method: 'POST',
      path,
      bodyBytesMax: ackBytesMax,
      handle: (request, body) => forwardDeal(gateway, request, path, body),
    })),
    { method: 'GET', path: '/consume', handle: (request) => fanIns.open(request) },
    ...(['/ack', '/nack', '/extend'] as const).map((path): Route => ({
      method: 'POST',
      path,
      bodyBytesMax: ackBytesMax,
      handle: (request, body) => forwardAck(gateway, request, path, body),
    })),
    { method: 'POST', path: '/seek', bodyBytesMax: 0, handle: (request) => forwardSeek(gateway, request) },
    {
      method: 'DELETE',
      path: '/topics/{topic}/groups/{group}',
      handle: (request) => forwardGroupDelete(gateway, request),
    },
    { method: 'GET', path: '/topics', handle: async () => ({ json: { topics: await allTopics(gateway) } }) },
    {
      method: 'PUT',
      path: '/topics/{topic}',
      bodyBytesMax: optionsBytesMax,
      handle: (request, body) => forwardTopic(gateway, request, body),
    },
    {
      method: 'PATCH',
      path: '/topics/{topic}',
      bodyBytesMax: optionsBytesMax,
      handle: (request, body) => forwardTopic(gateway, request, body),
    },
    { method: 'PUT', path: '/drain', bodyBytesMax: 0, handle: (request) => forwardDrain(gateway, request) },
    { method: 'DELETE', path: '/drain', handle: (request) => forwardDrain(gateway, request) },
    { method: 'GET', path: '/ring', handle: (request) => tellTable(gateway, request) },
  ]
}

/** `GET /stats`: what each broker was asked since the proxy started. */
export function statsRoute(gateway: Gateway, stats: Stats): Route {
  const handle = () => ({
    json: {
      held_bytes: gateway.held,
      brokers: gateway.cluster.members.all.map((member) => ({
        broker: member.ordinal,
        state: member.state,
        in_flight: gateway.upstream(member).inFlight,
        ...stats.of(member.ordinal),
      })),
    },
  })
  return { method: 'GET', path: '/stats', handle }
}

/**
 * What `GET /status` says of the members.
 *
 * @param serverName what their certificates must name, where addresses that were looked up are asked by TLS
 */
export function describeMembers(gateway: Gateway, serverName?: string): MemberStatus[] {
  const { cluster } = gateway
  return cluster.members.all.map((member) => {
    const { url, ordinal, state, writable, draining, reason, sinceMs } = member
    return {
      broker: ordinal,
      url,
      ...(serverName === undefined ? {} : { server_name: serverName }),
      state,
      writable,
      draining,
      ...(reason === '' ? {} : { reason }),
      since: new Date(sinceMs).toISOString(),
      in_flight: gateway.upstream(member).inFlight,
      partitions: Object.fromEntries(
        [...cluster.topics].map((name) => [
          name,
          cluster.topic(name)?.owners.flatMap((owner, partition) => (owner === ordinal ? [partition] : [])) ?? [],
        ]),
      ),
    }
  })
}
