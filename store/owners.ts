/**
 * Who had a GPU when, out of sightings that come in any order. It is kept as a list of changes: from this time on it was
 * theirs. Pure, for all engines.
 */

import type { GpuRecord } from '#telemetry/record'
import { type Instant, formatTime } from '#telemetry/time'
import type { Owner, OwnerRow } from './store.ts'

/** From `at` on the GPU was seen with this owner. */
export interface OwnerChange {
  readonly at: Instant
  readonly owner: Owner
}

/** What an owner is told by. */
export const ownerFields = ['namespace', 'pod', 'container', 'hpc_job', 'user'] as const satisfies (keyof Owner)[]

export const nobody: Owner = { namespace: '', pod: '', container: '', hpc_job: '', user: '' }

export function ownerOf({ namespace, pod, container, labels }: GpuRecord): Owner {
  return { namespace, pod, container, hpc_job: labels['hpc_job'] ?? '', user: labels['user'] ?? '' }
}

export function isSameOwner(a: Owner, b: Owner): boolean {
  return ownerFields.every((field) => a[field] === b[field])
}

/** {@link isSameOwner} of {@link ownerOf} the record, without making an object for each. */
export function isOwnerOf(owner: Owner, { namespace, pod, container, labels }: GpuRecord): boolean {
  return (
    owner.namespace === namespace &&
    owner.pod === pod &&
    owner.container === container &&
    owner.hpc_job === (labels['hpc_job'] ?? '') &&
    owner.user === (labels['user'] ?? '')
  )
}

/**
 * What a sighting changes: changes to write, in the order of their times. One at the time of a known change replaces it.
 *
 * A sighting within somebody else's time cuts it in two, since that owner was seen on both sides of it.
 *
 * @param known the changes of that GPU, by time
 * @param lastSeen when the GPU was last seen; `undefined` where this is the first time
 */
export function changesBy(
  known: readonly OwnerChange[],
  sighting: OwnerChange,
  lastSeen: Instant | undefined,
): OwnerChange[] {
  const { at, owner } = sighting
  const index = known.findLastIndex((change) => !isBefore(at, change.at))
  const holder = known[index]
  if (holder === undefined) {
    const next = known[0]
    // Seen without an owner before anything is known: nothing to tell.
    if (next === undefined && isSameOwner(owner, nobody)) return []
    // It was seen since, and with nobody, of which nothing was told.
    const isLate = next === undefined && lastSeen !== undefined && isBefore(at, lastSeen)
    // Times between two sightings belong to the former, so the first one of all reaches up to what is known.
    return isLate ? [sighting, { at: behind(at), owner: nobody }] : [sighting]
  }
  if (isSameOwner(holder.owner, owner)) return []
  const next = known[index + 1]
  const isNewest = next === undefined && (lastSeen === undefined || !isBefore(at, lastSeen))
  if (isNewest) return [sighting]
  const after = { at: behind(at), owner: holder.owner }
  // What follows at once needs no second half.
  const hasRest = next === undefined || isBefore(after.at, next.at)
  return hasRest ? [sighting, after] : [sighting]
}

/** The changes with others put in, by time. */
export function withChanges(known: readonly OwnerChange[], changes: readonly OwnerChange[]): OwnerChange[] {
  const kept = known.filter(({ at }) => !changes.some((change) => isSame(change.at, at)))
  return [...kept, ...changes].sort((a, b) => (isBefore(a.at, b.at) ? -1 : 1))
}

/** Changes, by time, as intervals; of equal neighbours one, and none without an owner. */
export function intervalsOf(changes: readonly OwnerChange[], gpu: { uuid: string; gpu_i_id: string }): OwnerRow[] {
  const turns = changes.filter(({ owner }, index) => {
    const before = changes[index - 1]
    return before === undefined || !isSameOwner(before.owner, owner)
  })
  return turns.flatMap(({ at, owner }, index) => {
    if (isSameOwner(owner, nobody)) return []
    const next = turns[index + 1]
    const { uuid, gpu_i_id } = gpu
    return [{ uuid, gpu_i_id, ...owner, from: formatTime(at), to: next === undefined ? null : formatTime(next.at) }]
  })
}

/** Whose it is at a time. */
export function ownerAt(changes: readonly OwnerChange[], at: Instant): Owner {
  return changes.findLast((change) => !isBefore(at, change.at))?.owner ?? nobody
}

function isBefore(a: Instant, b: Instant): boolean {
  return a.ms < b.ms || (a.ms === b.ms && a.ns < b.ns)
}

function isSame(a: Instant, b: Instant): boolean {
  return a.ms === b.ms && a.ns === b.ns
}

/** A nanosecond later. */
function behind({ ms, ns }: Instant): Instant {
  return ns + 1 < 1_000_000 ? { ms, ns: ns + 1 } : { ms: ms + 1, ns: 0 }
}
