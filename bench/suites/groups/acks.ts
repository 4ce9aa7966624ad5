/**
 * Acknowledgements of a broker in a process of its own, each a request: of one record by its id, and cumulative. Each moves its
 * group on by one record, so that the two differ in nothing else. And of every second record, so that the floor stays where it is.
 *
 * The peer is a request of which the same server has nothing to do: `GET /health`, over as many connections.
 */

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import type { Durability } from '#broker/log/types'

import type { Bench } from '../../measure.ts'
import { Scope } from '#test/scope'
import { startBroker, type LoadedBroker } from '../../load/broker.ts'
import { isAnswerWhole } from '../../load/posts.ts'
import { report, secondsOf, takeTurns } from '../../load/rounds.ts'
import { loadOver } from '../../load/socket.ts'
import { batchRecords, bodyOf } from '../../load/records.ts'

const topic = 'load'
const connections = 32

/** Small: the records are only there to be in flight. */
const recordBytes = 60

const bodies = {
  single: (offset: number) => `{"id":"0/0/${offset}"}`,
  cumulative: (offset: number) => `{"up_to":["0/0/${offset}"]}`,
  /** Every second record: the group has to remember each by itself. */
  scattered: (offset: number) => `{"id":"0/0/${2 * offset + 1}"}`,
}

export async function acks(bench: Bench): Promise<void> {
  for (const durability of ['disk', 'fsync'] as const) await acksOf(bench, durability)
}

async function acksOf(bench: Bench, durability: Durability): Promise<void> {
  const requests = bench.quick ? 1000 : 10_000
  const rounds = bench.quick ? 3 : 7
  bench.say(`acks: ${requests} requests a round, durability ${durability}`)
  const scope = new Scope()
  try {
    const broker = await startBroker(scope, join(bench.folder, `acks-${durability}`), {
      topics: `${topic}:partitions=1:durability=${durability}`,
    })
    const body = bodyOf(batchRecords, recordBytes)
    await broker.load(`/produce?topic=${topic}&partition=0`, body, (2 * requests) / batchRecords, 4)
    const round = (kind: keyof typeof bodies, groups: number) => () => ackAll(broker, requests, groups, bodies[kind])
    const contestants = {
      'single-1': round('single', 1),
      'cumulative-1': round('cumulative', 1),
      'scattered-1': round('scattered', 1),
      'single-100': round('single', 100),
      'cumulative-100': round('cumulative', 100),
      'scattered-100': round('scattered', 100),
      health: () => rateOf(broker, requests, () => request('GET', '/health', '')),
    }
    for (const warm of Object.values(contestants)) await warm()
    const { health, ...figures } = await takeTurns(bench, rounds, contestants)
    const extra = { connections, requests, durability }
    for (const groups of [1, 100] as const) {
      const [single, cumulative] = [figures[`single-${groups}`], figures[`cumulative-${groups}`]]
      const scattered = figures[`scattered-${groups}`]
      const name = (kind: string): string => `ack-${kind}-${groups}-groups-${durability}`
      report(bench, name('single'), 'requests/s', single, { cumulative, 'GET /health': health }, { groups, ...extra })
      report(bench, name('cumulative'), 'requests/s', cumulative, { 'GET /health': health }, { groups, ...extra })
      report(bench, name('scattered'), 'requests/s', scattered, { single }, { groups, ...extra })
    }
  } finally {
    await scope.end()
  }
}

let groupsMade = 0

/** Acknowledges record by record in new groups, which take turns; requests a second. */
async function ackAll(
  broker: LoadedBroker,
  requests: number,
  groups: number,
  bodyOfOffset: (offset: number) => string,
): Promise<number> {
  const names = Array.from({ length: groups }, () => `g-${groupsMade++}`)
  // Each acknowledges so many, at most every second one.
  const inFlight = (2 * requests) / groups
  const stop = new AbortController()
  const readers = names.map((name) => drain(broker, name, inFlight, stop.signal))
  try {
    await untilInFlight(broker, names, inFlight)
    return await rateOf(broker, requests, (at) => {
      const path = `/ack?topic=${topic}&group=${names[at % groups]}`
      return request('POST', path, bodyOfOffset(Math.floor(at / groups)))
    })
  } finally {
    stop.abort()
    await Promise.all(readers)
    for (const name of names) {
      await fetch(`${broker.role.url}/topics/${topic}/groups/${name}`, { method: 'DELETE' })
    }
  }
}

/** Reads in a group, and throws away what comes, until it is stopped. */
async function drain({ role }: LoadedBroker, group: string, records: number, signal: AbortSignal): Promise<void> {
  try {
    const asked = `topic=${topic}&group=${group}&max_in_flight=${records}&visibility=10m`
    const { body } = await fetch(`${role.url}/consume?${asked}`, { signal })
    const reader = body?.getReader()
    while ((await reader?.read())?.done === false);
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

async function untilInFlight({ role }: LoadedBroker, names: readonly string[], records: number): Promise<void> {
  for (let tried = 0; ; tried++) {
    const { topics } = (await role.status()) as {
      topics: Record<string, { groups: Record<string, { in_flight: number }> }>
    }
    const groups = topics[topic]?.groups ?? {}
    if (names.every((name) => (groups[name]?.in_flight ?? 0) >= records)) return
    if (tried === 1200) throw new Error(`the records did not come: ${JSON.stringify(groups)}`)
    await sleep(50)
  }
}

async function rateOf({ role }: LoadedBroker, requests: number, requestOf: (at: number) => Buffer): Promise<number> {
  const seconds = await secondsOf(() =>
    loadOver(role.port, connections, requests, async (connection, at) => {
      const answer = await connection.ask(requestOf(at), isAnswerWhole)
      if (!answer.toString('latin1', 0, 12).endsWith(' 200')) throw new Error(answer.toString('utf8'))
    }),
  )
  return requests / seconds
}

function request(method: string, path: string, body: string): Buffer {
  const head = `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${body.length}\r\n`
  return Buffer.from(`${head}Content-Type: application/json\r\n\r\n${body}`)
}
