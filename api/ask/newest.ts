import { type Instant, parseTime } from '#telemetry/time'
import type { StoreReader } from './reader.ts'
import { after, isBefore } from './times.ts'

/** The moment behind the newest value of the store. */
export async function newest(reader: StoreReader): Promise<Instant | undefined> {
  const hosts = await reader.ask((store) => store.hosts(), [])
  const times = hosts.map(({ last_seen }) => parseTime(last_seen) as Instant)
  return times.length === 0 ? undefined : after(times.reduce((a, b) => (isBefore(a, b) ? b : a)))
}
