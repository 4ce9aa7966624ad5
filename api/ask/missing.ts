/** Which GPUs are missing: in the inventory, and not seen although their exporter answers. */

import type { GpuRow } from '#store/store'
import { parseTime } from '#telemetry/time'

/**
 * Says since when a GPU is missing: its last sighting, where its host has values of other GPUs that are newer by more than
 * `staleAfterMs`; else `null`. Now plays no part: a file of last year tells as well which GPU fell off the bus in it, and a
 * host whose exporter is silent is stale, not missing GPUs. A device that is seen again as slices, or whole, is not missing.
 *
 * @param around all GPUs of the hosts of those that are asked about
 */
export function missingIn(around: readonly GpuRow[], staleAfterMs: number): (row: GpuRow) => string | null {
  const hosts = new Map<string, number>()
  const devices = new Map<string, number>()
  for (const { hostname, uuid, last_seen } of around) {
    const ms = msOf(last_seen)
    if (ms > (hosts.get(hostname) ?? -Infinity)) hosts.set(hostname, ms)
    if (ms > (devices.get(uuid) ?? -Infinity)) devices.set(uuid, ms)
  }
  return ({ hostname, uuid, last_seen }) => {
    const seenMs = Math.max(msOf(last_seen), devices.get(uuid) ?? -Infinity)
    return (hosts.get(hostname) ?? seenMs) - seenMs > staleAfterMs ? last_seen : null
  }
}

function msOf(time: string): number {
  return parseTime(time)?.ms ?? NaN
}
