/** The proxy's metrics: how its brokers are, and what it holds for them. */

import type { Clock } from '#lib/clock'
import type { Metrics } from '#lib/metrics'

import type { Gateway } from './forward.ts'
import type { MemberState } from './members.ts'
import { Stats } from './stats.ts'

const states: readonly MemberState[] = ['up', 'down', 'probing', 'draining']

export interface Figures {
  readonly stats: Stats
  /** Tells of the brokers at each scrape. */
  watch(gateway: Gateway): void
}

/** Registers them all. Brokers are told by their number, never by their address: numbers are few, and stay. */
export function createFigures(metrics: Metrics, clock: Clock): Figures {
  const stats = new Stats(clock, metrics)
  const health = metrics.gauge('broker_health_status', 'Whether the broker is up (1) or not (0)', ['broker'])
  const state = metrics.gauge('penstock_broker_state', 'Which of its states the broker is in (1)', ['broker', 'state'])
  const inFlight = metrics.gauge(
    'penstock_broker_requests_in_flight',
    'Requests to the broker that are not answered yet',
    ['broker'],
  )
  const held = metrics.gauge('penstock_held_bytes', 'Bodies that are kept until a broker has answered them')
  const heldMax = metrics.gauge('penstock_held_bytes_limit', 'Bodies above this are refused until others are answered')
  return {
    stats,
    watch(gateway) {
      metrics.onScrape(() => {
        held.set(gateway.held)
        heldMax.set(gateway.heldBytesMax)
        // A broker that has left must not stay on the panel.
        for (const family of [health, state, inFlight]) family.clear()
        for (const member of gateway.cluster.members.all) {
          if (member.ordinal === undefined) continue
          const broker = String(member.ordinal)
          health.with({ broker }).set(member.state === 'up' || member.state === 'draining' ? 1 : 0)
          inFlight.with({ broker }).set(gateway.upstream(member).inFlight)
          for (const each of states) state.with({ broker, state: each }).set(member.state === each ? 1 : 0)
        }
      })
    },
  }
}
