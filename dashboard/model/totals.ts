/**
 * The fleet in a handful of numbers, by the rules of the API's `/fleet`: what a GPU does not report takes no part, and
 * stale values take part only where there are no others.
 */

import { type GpuState, isStale, valueOf } from './fleet.ts'

export interface Totals {
  /** By uuid: the slices of one GPU are one. */
  readonly gpus: number
  readonly hosts: number
  /** The fewest and the most that a host has. */
  readonly gpusPerHost: readonly [number, number]
  readonly staleGpus: number
  /** Utilisation above 0. */
  readonly busyGpus: number
  readonly newestMs: number | undefined
  /** The newest value is stale, and so are all others. */
  readonly allStale: boolean
  readonly power: Sum
  readonly utilisation: Sum
  readonly usedMib: Sum
  readonly totalMib: number | null
  readonly hottest: { readonly gpu: GpuState; readonly celsius: number } | undefined
}

export interface Sum {
  /** `null`: no GPU reports it. */
  readonly value: number | null
  /** GPUs, or slices, that took part. */
  readonly of: number
}

export function totalsOf(all: readonly GpuState[], nowMs: number): Totals {
  const fresh = all.filter((gpu) => !isStale(gpu, nowMs))
  const gpus = fresh.length > 0 ? fresh : all
  const usages = gpus.flatMap((gpu) => valueOf(gpu, 'utilisation') ?? [])
  const used = gpus.flatMap((gpu) => valueOf(gpu, 'used') ?? [])
  const capacities = gpus.flatMap((gpu) => {
    const [usedMib, freeMib] = [valueOf(gpu, 'used'), valueOf(gpu, 'free')]
    return usedMib === null || freeMib === null ? [] : [usedMib + freeMib]
  })
  let hottest: Totals['hottest']
  for (const gpu of gpus) {
    const celsius = valueOf(gpu, 'temperature')
    if (celsius !== null && celsius > (hottest?.celsius ?? -Infinity)) hottest = { gpu, celsius }
  }
  const byHost = Map.groupBy(all, ({ hostname }) => hostname)
  byHost.delete('')
  const perHost = [...byHost.values()].map((own) => new Set(own.map(({ uuid }) => uuid)).size)
  const powers = powerByDevice(gpus)
  return {
    gpus: new Set(all.map(({ uuid }) => uuid)).size,
    hosts: perHost.length,
    gpusPerHost: perHost.length === 0 ? [0, 0] : [Math.min(...perHost), Math.max(...perHost)],
    staleGpus: new Set(all.filter((gpu) => isStale(gpu, nowMs)).map(({ uuid }) => uuid)).size,
    busyGpus: new Set(all.filter((gpu) => (valueOf(gpu, 'utilisation') ?? 0) > 0).map(({ uuid }) => uuid)).size,
    newestMs: all.length === 0 ? undefined : all.reduce((most, gpu) => Math.max(most, gpu.lastSeenMs), -Infinity),
    allStale: all.length > 0 && fresh.length === 0,
    power: { value: sum(powers), of: powers.length },
    utilisation: { value: usages.length === 0 ? null : (sum(usages) as number) / usages.length, of: usages.length },
    usedMib: { value: sum(used), of: used.length },
    totalMib: sum(capacities),
    hottest,
  }
}

/** The slices of a GPU all report the power of the whole. */
function powerByDevice(gpus: readonly GpuState[]): number[] {
  const byDevice = new Map<string, number>()
  for (const gpu of gpus) {
    const watts = valueOf(gpu, 'power')
    if (watts !== null) byDevice.set(gpu.uuid, Math.max(watts, byDevice.get(gpu.uuid) ?? -Infinity))
  }
  return [...byDevice.values()]
}

function sum(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((total, value) => total + value, 0)
}
