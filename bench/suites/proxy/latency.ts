/**
 * What the proxy adds to the time of a request, at a fixed rate, one record a request. Open loop: a request goes when it is due,
 * and counts from then, whether those before it are answered or not.
 */

import { join } from 'node:path'

import type { Bench } from '../../measure.ts'
import { Scope } from '#test/scope'
import { askProduce } from '../../load/broker.ts'
import { takeTurns } from '../../load/rounds.ts'
import { Connection, loadOver } from '../../load/socket.ts'
import { bodyOf, recordBytes } from '../../load/records.ts'
import { startPair } from './pair.ts'

/** The rate to hold; halved until this machine does. */
const wantedPerSecond = 5_000
const connections = 64

export async function addedLatency(bench: Bench): Promise<void> {
  const seconds = bench.quick ? 2 : 10
  const rounds = bench.quick ? 3 : 7
  const scope = new Scope()
  try {
    const { broker, proxy } = await startPair(scope, join(bench.folder, 'latency'))
    const body = bodyOf(1, recordBytes)
    // In a closed loop first: code that is not compiled yet holds no rate, and would halve it.
    for (const { port } of [broker, proxy]) {
      await loadOver(port, 16, 20_000, (connection) => askProduce(connection, '/produce?topic=telemetry', body))
    }
    let perSecond = wantedPerSecond
    while (perSecond > 100 && (await load(proxy.port, body, perSecond, 2)).behind > 0.02) perSecond /= 2
    bench.say(`latency: ${perSecond} requests a second, direct and through the proxy`)
    const halves: Record<'through' | 'direct', number[]> = { through: [], direct: [] }
    const p99 = (port: number, name: 'through' | 'direct') => async (): Promise<number> => {
      const { latencies } = await load(port, body, perSecond, seconds)
      halves[name].push(quantile(latencies, 0.5))
      return quantile(latencies, 0.99)
    }
    await load(broker.port, body, perSecond, 2)
    const { through, direct } = await takeTurns(bench, rounds, {
      through: p99(proxy.port, 'through'),
      direct: p99(broker.port, 'direct'),
    })
    const middle = (values: number[]): number =>
      quantile(
        values.sort((a, b) => a - b),
        0.5,
      )
    bench.report({
      work: 'added-latency-p99',
      unit: 'ms',
      value: through.median - direct.median,
      spread: through.spread,
      requests_per_s: perSecond,
      wanted_per_s: wantedPerSecond,
      p99_through_ms: through.median,
      p99_direct_ms: direct.median,
      added_p50_ms: middle(halves.through) - middle(halves.direct),
    })
  } finally {
    await scope.end()
  }
}

/** Sends at the rate; `behind` is the share of requests that had to wait for a free connection. */
async function load(
  port: number,
  body: Buffer,
  perSecond: number,
  seconds: number,
): Promise<{ readonly latencies: readonly number[]; readonly behind: number }> {
  const idle = await Promise.all(Array.from({ length: connections }, () => Connection.open(port)))
  const all = [...idle]
  const latencies: number[] = []
  const waiting: number[] = []
  let [behind, failed] = [0, 0]
  const ask = async (connection: Connection, dueMs: number): Promise<void> => {
    for (let due: number | undefined = dueMs; due !== undefined; due = waiting.shift()) {
      await askProduce(connection, '/produce?topic=telemetry', body).catch(() => failed++)
      latencies.push(performance.now() - due)
    }
    idle.push(connection)
  }
  const count = perSecond * seconds
  const startMs = performance.now()
  for (let sent = 0; sent < count; await new Promise((resolve) => setTimeout(resolve, 1))) {
    // Those that fell due since the last look go together: a timer knows milliseconds only, on both sides alike.
    const nowMs = performance.now()
    const due = Math.min(count, Math.floor(((nowMs - startMs) / 1000) * perSecond))
    for (; sent < due; sent++) {
      const connection = idle.pop()
      if (connection !== undefined) void ask(connection, nowMs)
      else {
        behind++
        waiting.push(nowMs)
      }
    }
  }
  while (idle.length < all.length) await new Promise((resolve) => setTimeout(resolve, 1))
  for (const connection of all) connection.close()
  if (failed > 0) throw new Error(`${failed} of ${count} requests failed`)
  return { latencies: latencies.sort((a, b) => a - b), behind: behind / count }
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN
}
