/** What the series of groups become, window by window. Pure. */

import { joinedBits, maskOf, percentiles, rankOf } from '#store/windows'
import type { RangeSeries } from '#store/store'
import { parseTime } from '#telemetry/time'
import type { Gpu } from '../contract.ts'
import type { Over } from './functions.ts'
import {
  type Conditions,
  type Dimension,
  fits,
  type Group,
  groupKey,
  groupOf,
  type Held,
  keyOf,
  ownerAt,
} from './groups.ts'

/** The values of a group, by the places of their windows. */
export interface GroupValues {
  readonly key: string
  readonly group: Group
  /** Devices that have a value in any of the windows. */
  readonly gpus: number
  readonly values: ReadonlyMap<number, GroupValue>
}

export interface GroupValue {
  /** `null`: none of them reported. */
  readonly value: number | null
  /** Devices that reported. */
  readonly gpus: number
}

export interface Grouping {
  readonly gpus: readonly Gpu[]
  readonly held: ReadonlyMap<string, readonly Held[]>
  readonly by: readonly Dimension[]
  readonly where: Conditions
  readonly over: Over
  readonly windowMs: number
  /** When it is asked whose a GPU is; left out: at the start of each window. */
  readonly ownedAtMs?: number | undefined
}

/** In the order of the groups. */
export function groupsOf(series: readonly RangeSeries[], grouping: Grouping): GroupValues[] {
  const { gpus, held, by, where, over, windowMs, ownedAtMs } = grouping
  const byKey = new Map(gpus.map((gpu) => [keyOf(gpu), gpu]))
  const groups = new Map<string, { readonly group: Group; readonly windows: Map<number, Members> }>()
  for (const one of series) {
    const gpu = one.kind === 'gpu' ? byKey.get(keyOf(one)) : undefined
    if (gpu === undefined) continue
    const own = held.get(keyOf(one)) ?? []
    for (const { time, value } of one.values) {
      const ms = parseTime(time)?.ms ?? 0
      const owner = ownerAt(own, ownedAtMs ?? ms)
      if (!fits(owner, where)) continue
      const group = groupOf(gpu, owner, by)
      const key = groupKey(group, by)
      let known = groups.get(key)
      if (known === undefined) groups.set(key, (known = { group, windows: new Map() }))
      const place = Math.floor(ms / windowMs)
      let members = known.windows.get(place)
      if (members === undefined) known.windows.set(place, (members = { values: [], uuids: new Set() }))
      if (value === null) continue
      members.values.push(value)
      members.uuids.add(gpu.uuid)
    }
  }
  return [...groups]
    .map(([key, { group, windows }]) => {
      const values = [...windows].sort(([a], [b]) => a - b)
      return {
        key,
        group,
        gpus: new Set(values.flatMap(([, { uuids }]) => [...uuids])).size,
        values: new Map(
          values.map(([place, one]) => [place, { value: joined(one.values, over), gpus: one.uuids.size }]),
        ),
      }
    })
    .sort((a, b) => (a.key < b.key ? -1 : 1))
}

interface Members {
  readonly values: number[]
  readonly uuids: Set<string>
}

/** `null` of nothing, but for the count of it. */
export function joined(values: readonly number[], over: Over): number | null {
  if (over === 'count') return values.length
  if (values.length === 0) return null
  const share = percentiles[over as keyof typeof percentiles]
  if (share !== undefined) return values.toSorted((a, b) => a - b)[rankOf(share, values.length)] as number
  const sum = values.reduce((a, b) => a + b, 0)
  switch (over) {
    case 'sum':
      return sum
    case 'min':
      return values.reduce((a, b) => Math.min(a, b))
    case 'max':
      return values.reduce((a, b) => Math.max(a, b))
    case 'bits':
      return values.map((value) => maskOf(value) ?? 0).reduce(joinedBits, 0)
    default:
      return sum / values.length
  }
}
