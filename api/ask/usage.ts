/**
 * What GPUs did for whom, as sums. Pure. Each GPU and window is counted once, and wholly: whatever is split among owners or
 * slices adds up to it, so all groups add up to the total.
 */

import type { RangeSeries } from '#store/store'
import { parseTime } from '#telemetry/time'
import type { Gpu } from '../contract.ts'
import { activityMetrics } from './state.ts'
import { type Dimension, type Group, groupKey, groupOf, type Held, keyOf, shares } from './groups.ts'

const power = 'DCGM_FI_DEV_POWER_USAGE'
const energy = 'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION'

/** What is read, and what its windows become. Of two of one kind the former counts where it is reported. */
export const usageMetrics = [
  ...activityMetrics.map((metric) => ({ metric, fn: 'max' as const })),
  { metric: energy, fn: 'increase' as const },
  { metric: power, fn: 'integral' as const },
]

export interface Amounts {
  gpuMs: number
  allocatedMs: number
  activeMs: number
  idleMs: number
  unknownMs: number
  meteredMs: number
  joules: number
}

/** A GPU, or a slice of one, in one window. Left out: not read; `null`: not reported. */
interface Cell {
  activity?: number | null
  /** By metric. */
  joules: Partial<Record<string, number>>
}

export interface UsageRange {
  readonly windowMs: number
  /** Times before and behind it do not count. */
  readonly startMs: number
  readonly endMs: number
}

/** Takes the series of GPUs, all that belong to one GPU at once. */
export class UsageAccount {
  readonly #range: UsageRange
  readonly #by: readonly Dimension[]
  readonly #held: ReadonlyMap<string, readonly Held[]>
  readonly #groups = new Map<string, { readonly group: Group; readonly amounts: Amounts }>()
  readonly #uuids = new Set<string>()
  readonly total = nothing()

  constructor(range: UsageRange, by: readonly Dimension[], held: ReadonlyMap<string, readonly Held[]>) {
    this.#range = range
    this.#by = by
    this.#held = held
  }

  /** In the order of the groups. */
  get groups(): { readonly key: string; readonly group: Group; readonly amounts: Amounts }[] {
    const all = [...this.#groups].map(([key, one]) => ({ key, ...one }))
    return all.sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  /** How many devices reported. */
  get gpus(): number {
    return this.#uuids.size
  }

  /** @param series windows of {@link usageMetrics}, of these GPUs */
  add(gpus: readonly Gpu[], series: readonly RangeSeries[]): void {
    const windows = cellsOf(series, this.#range.windowMs)
    for (const [uuid, own] of Map.groupBy(gpus, (gpu) => gpu.uuid)) {
      const places = new Set(own.flatMap((gpu) => [...(windows.get(keyOf(gpu))?.keys() ?? [])]))
      for (const place of places) {
        const cells = own.flatMap((gpu) => {
          const cell = windows.get(keyOf(gpu))?.get(place)
          return cell === undefined ? [] : [{ gpu, cell }]
        })
        this.#window(uuid, place, cells)
      }
    }
  }

  #window(uuid: string, place: number, cells: readonly { readonly gpu: Gpu; readonly cell: Cell }[]): void {
    const { windowMs, startMs, endMs } = this.#range
    const fromMs = Math.max(startMs, place * windowMs)
    const toMs = Math.min(endMs, (place + 1) * windowMs)
    if (toMs <= fromMs) return
    this.#uuids.add(uuid)
    // Each slice reports the power of the whole GPU.
    const joules = mostOf(cells.map(({ cell }) => cell.joules[energy] ?? cell.joules[power]))
    const slices = cells.filter(({ gpu }) => gpu.gpu_i_id !== '')
    const parts = slices.length > 0 ? slices : cells
    for (const { gpu, cell } of parts) {
      for (const [owner, ms] of shares(this.#held.get(keyOf(gpu)) ?? [], fromMs, toMs)) {
        const share = ms / (toMs - fromMs) / parts.length
        const isAllocated = Object.values(owner).some((text) => text !== '')
        const group = groupOf(gpu, owner, this.#by)
        for (const amounts of [this.total, this.#amountsOf(group)]) {
          count(amounts, ms / parts.length, cell.activity, isAllocated)
          if (joules === undefined) continue
          amounts.meteredMs += ms / parts.length
          amounts.joules += joules * share
        }
      }
    }
  }

  #amountsOf(group: Group): Amounts {
    const key = groupKey(group, this.#by)
    let own = this.#groups.get(key)
    if (own === undefined) this.#groups.set(key, (own = { group, amounts: nothing() }))
    return own.amounts
  }
}

function nothing(): Amounts {
  return { gpuMs: 0, allocatedMs: 0, activeMs: 0, idleMs: 0, unknownMs: 0, meteredMs: 0, joules: 0 }
}

function count(amounts: Amounts, ms: number, activity: number | null | undefined, isAllocated: boolean): void {
  amounts.gpuMs += ms
  if (isAllocated) amounts.allocatedMs += ms
  if (activity === null || activity === undefined) amounts.unknownMs += ms
  else if (activity > 0) amounts.activeMs += ms
  else amounts.idleMs += ms
}

/** By GPU and window. */
function cellsOf(series: readonly RangeSeries[], windowMs: number): Map<string, Map<number, Cell>> {
  const cells = new Map<string, Map<number, Cell>>()
  for (const one of series) {
    const { metric, gpu_i_id } = one
    // Utilisation says nothing of a slice (telemetry/catalogue.ts).
    const rank = gpu_i_id !== '' && metric !== activityMetrics[0] ? -1 : activityMetrics.indexOf(metric)
    const own = cells.get(keyOf(one)) ?? new Map<number, Cell>()
    cells.set(keyOf(one), own)
    for (const { time, value } of one.values) {
      const place = Math.floor((parseTime(time)?.ms ?? 0) / windowMs)
      const cell = own.get(place) ?? { joules: {} }
      own.set(place, cell)
      // Series come in the order of their metrics: what is there already goes before.
      if (rank >= 0) cell.activity ??= value
      else if (value !== null) cell.joules[metric] = metric === energy ? value / 1000 : value
    }
  }
  return cells
}

function mostOf(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : known.reduce((a, b) => Math.max(a, b))
}
