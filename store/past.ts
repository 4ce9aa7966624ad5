/** A moment in the past, as all engines tell it: what was newest then, and whose it was. Pure. */

import type { GpuAttributes, GpuRow, LatestRow, OwnerQuery, OwnerRow } from './store.ts'
import { type Instant, parseTime } from '#telemetry/time'

/** What to ask for the owners of that moment. */
export function ownersAt(uuid: string | undefined, at: Instant): OwnerQuery {
  const end = at.ns === 999_999 ? { ms: at.ms + 1, ns: 0 } : { ms: at.ms, ns: at.ns + 1 }
  return { uuid, start: at, end }
}

/**
 * Gives the rows the owners that their GPUs had.
 *
 * @param rows the newest of each series, with the attributes that their GPUs have today
 * @param owners as {@link ownersAt} asks for them
 */
export function latestAt(
  rows: readonly LatestRow[],
  owners: readonly OwnerRow[],
  namespace: string | undefined,
): LatestRow[] {
  const byGpu = new Map(owners.map((owner) => [keyOf(owner), owner]))
  const owned = rows.map((row) => {
    if (row.kind === 'metric') return row
    const { namespace = '', pod = '', container = '' } = byGpu.get(keyOf(row)) ?? {}
    return { ...row, namespace, pod, container }
  })
  return namespace === undefined ? owned : owned.filter((row) => row.kind === 'gpu' && row.namespace === namespace)
}

/**
 * The inventory of that moment: of the GPUs those that have a row, with what the rows say.
 *
 * @param inventory of today
 * @param latest as {@link latestAt} makes it
 */
export function gpusAt(inventory: readonly GpuRow[], latest: readonly LatestRow[]): GpuRow[] {
  const rowsOf = Map.groupBy(latest, keyOf)
  return inventory.flatMap((gpu) => {
    const rows = rowsOf.get(keyOf(gpu))
    if (rows === undefined) return []
    const { namespace, pod, container } = rows[0] as LatestRow
    const last_seen = rows.map(({ time }) => time).reduce((a, b) => (isBefore(a, b) ? b : a))
    const metrics = [...new Set(rows.map(({ metric }) => metric))].sort()
    return [{ ...gpu, namespace, pod, container, last_seen, metrics }]
  })
}

function keyOf({ uuid, gpu_i_id }: Pick<GpuAttributes, 'uuid' | 'gpu_i_id'>): string {
  return `${uuid}\0${gpu_i_id}`
}

function isBefore(a: string, b: string): boolean {
  if (a.length === b.length) return a < b
  const [x, y] = [parseTime(a) as Instant, parseTime(b) as Instant]
  return x.ms < y.ms || (x.ms === y.ms && x.ns < y.ns)
}
