import { type Instant, parseTime } from '#telemetry/time'
import type { BoundReader } from './reader.ts'
import { after, isBefore } from './times.ts'

/**
 * Where a range ends that names no end: behind the newest value of the store. Now, where there is none, or none after the
 * start: a source that stopped last week has nothing to tell of the last hour, and asking is not wrong.
 */
export async function endFor(reader: BoundReader, start: Instant | undefined, nowMs: number): Promise<Instant> {
  const hosts = await reader.ask((store) => store.hosts(), [])
  const times = hosts.map(({ last_seen }) => parseTime(last_seen) as Instant)
  const now = { ms: nowMs, ns: 0 }
  if (times.length === 0) return now
  const newest = after(times.reduce((a, b) => (isBefore(a, b) ? b : a)))
  return start === undefined || isBefore(start, newest) ? newest : now
}
