/** What a set of GPUs is doing, in a handful of numbers. A GPU that does not report a metric takes no part in its number. */

import type { Fleet, Gpu, Host, Site, Transfer } from '../contract.ts'
import type { SiteRow, TransferRow } from '#store/store'
import { ageS } from './times.ts'

const power = 'DCGM_FI_DEV_POWER_USAGE'
const utilization = 'DCGM_FI_DEV_GPU_UTIL'
const used = 'DCGM_FI_DEV_FB_USED'
const free = 'DCGM_FI_DEV_FB_FREE'
const temperature = 'DCGM_FI_DEV_GPU_TEMP'

/** The metric whose history is asked for when none is named. */
export const powerMetric = power

/** Memory that an idle GPU may hold without being a find, in MiB. */
const idleMemoryMib = 1_000

type Activity = Pick<Host, 'power_w' | 'utilization_pct' | 'memory_used_mib' | 'memory_total_mib' | 'temperature_max_c'>

/** Stale values take part only where there are no others: a file of last year still has a fleet power. */
export function activityOf(all: readonly Gpu[]): Activity {
  const fresh = all.filter(({ stale }) => !stale)
  const gpus = fresh.length > 0 ? fresh : all
  const utilizations = numbers(gpus, utilization)
  const totals = gpus.flatMap((gpu) => {
    const [usedMib, freeMib] = [valueOf(gpu, used), valueOf(gpu, free)]
    return usedMib === null || freeMib === null ? [] : [usedMib + freeMib]
  })
  return {
    power_w: sum(perDevice(gpus, power)),
    utilization_pct: utilizations.length === 0 ? null : (sum(utilizations) as number) / utilizations.length,
    memory_used_mib: sum(numbers(gpus, used)),
    memory_total_mib: sum(totals),
    temperature_max_c: max(numbers(gpus, temperature)),
  }
}

export function hostsOf(gpus: readonly Gpu[], nowMs: number): Host[] {
  const byHost = Map.groupBy(gpus, ({ hostname }) => hostname)
  return [...byHost].map(([hostname, own]) => {
    const last_seen = own.map((gpu) => gpu.last_seen).reduce((a, b) => (ageS(a, nowMs) <= ageS(b, nowMs) ? a : b))
    return {
      hostname,
      gpus: devices(own),
      stale_gpus: devices(own.filter(({ stale }) => stale)),
      last_seen,
      age_s: ageS(last_seen, nowMs),
      stale: own.every(({ stale }) => stale),
      ...activityOf(own),
    }
  })
}

export function fleetOf(gpus: readonly Gpu[], sites: readonly SiteRow[], nowMs: number, demo: boolean): Fleet {
  const newest = gpus.length === 0 ? null : gpus.reduce((a, b) => (a.age_s <= b.age_s ? a : b)).last_seen
  const models = [...Map.groupBy(gpus, ({ model_name }) => model_name)]
  return {
    as_of: new Date(nowMs).toISOString(),
    demo,
    gpus: devices(gpus),
    hosts: hostCount(gpus),
    namespaces: new Set(gpus.map(({ namespace }) => namespace).filter((name) => name !== '')).size,
    stale_gpus: devices(gpus.filter(({ stale }) => stale)),
    busy_gpus: devices(gpus.filter((gpu) => (valueOf(gpu, utilization) ?? 0) > 0)),
    idle_full_gpus: devices(
      gpus.filter((gpu) => valueOf(gpu, utilization) === 0 && (valueOf(gpu, used) ?? 0) > idleMemoryMib),
    ),
    newest,
    age_s: newest === null ? null : ageS(newest, nowMs),
    stale: gpus.length > 0 && gpus.every(({ stale }) => stale),
    ...activityOf(gpus),
    models: models.map(([model_name, own]) => ({ model_name, gpus: devices(own) })),
    transfers: sites.reduce((total, site) => total + site.transfers, 0),
    transfer_bytes: sites.reduce((total, site) => total + site.bytes, 0),
  }
}

export function siteOf(row: SiteRow, nowMs: number): Site {
  return {
    ...row,
    statuses: { ...row.statuses },
    throughput_bytes_per_s: row.duration_s > 0 ? row.bytes / row.duration_s : null,
    age_s: ageS(row.last, nowMs),
  }
}

export function transferOf(row: TransferRow): Transfer {
  const { bytes, duration_s } = row
  const throughput = bytes === null || duration_s === null || duration_s <= 0 ? null : bytes / duration_s
  return { ...row, throughput_bytes_per_s: throughput }
}

export function valueOf(gpu: Gpu, metric: string): number | null {
  return gpu.values[metric]?.value ?? null
}

function numbers(gpus: readonly Gpu[], metric: string): number[] {
  return gpus.map((gpu) => valueOf(gpu, metric)).filter((value) => value !== null)
}

/** One number a device: the slices of a GPU all report the power of the whole. */
function perDevice(gpus: readonly Gpu[], metric: string): number[] {
  const byDevice = Map.groupBy(gpus, ({ uuid }) => uuid)
  return [...byDevice.values()].map((own) => max(numbers(own, metric))).filter((value) => value !== null)
}

/** A GPU whose host nobody told stands on none. */
export function hostCount(gpus: readonly Gpu[]): number {
  return new Set(gpus.map(({ hostname }) => hostname).filter((name) => name !== '')).size
}

export function devices(gpus: readonly Gpu[]): number {
  return new Set(gpus.map(({ uuid }) => uuid)).size
}

function sum(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((total, value) => total + value, 0)
}

function max(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((most, value) => (value > most ? value : most))
}
