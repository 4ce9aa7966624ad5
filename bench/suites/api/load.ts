/**
 * Requests at a rate, open loop: each is sent at its time, whether those before it are answered or not, and its latency counts
 * from that time. A server that stalls is not spared the requests that would have come meanwhile.
 */

import { Pool } from 'undici'

export interface Load {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly perSecond: number
  readonly seconds: number
  /** The path of a request, and what it is counted as. */
  ask(index: number): readonly [kind: string, path: string]
}

export interface Latencies {
  /** By kind, in ms, rising. */
  readonly byKind: ReadonlyMap<string, readonly number[]>
  readonly failed: number
  readonly bytes: number
  /** How late the worst request was sent: what the client's own side may have added. */
  readonly lateMs: number
}

export async function load({ url, headers, perSecond, seconds, ask }: Load): Promise<Latencies> {
  const pool = new Pool(url, { connections: 256, pipelining: 1 })
  const byKind = new Map<string, number[]>()
  const count = perSecond * seconds
  const startMs = performance.now() + 50
  let [failed, bytes, lateMs, sent] = [0, 0, 0, 0]
  const one = async (index: number, dueMs: number): Promise<void> => {
    const [kind, path] = ask(index)
    try {
      const { statusCode, body } = await pool.request({ method: 'GET', path, headers })
      // Counted and let go: gathering 1.5 MB into one buffer took the client longer than reading them.
      await new Promise<void>((resolve, reject) => {
        body.on('data', (piece: Buffer) => (bytes += piece.length))
        body.on('end', resolve).on('error', reject)
      })
      if (statusCode !== 200) throw new Error(`${path}: ${statusCode}`)
      const latencies = byKind.get(kind) ?? []
      byKind.set(kind, latencies)
      latencies.push(performance.now() - dueMs)
    } catch {
      failed++
    }
  }
  const all: Promise<void>[] = []
  while (sent < count) {
    for (; sent < count; sent++) {
      const dueMs = startMs + (1000 * sent) / perSecond
      const nowMs = performance.now()
      if (dueMs > nowMs) break
      lateMs = Math.max(lateMs, nowMs - dueMs)
      all.push(one(sent, dueMs))
    }
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await Promise.all(all)
  await pool.close()
  for (const latencies of byKind.values()) latencies.sort((a, b) => a - b)
  return { byKind, failed, bytes, lateMs }
}

export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN
}
