/** GPUs put together by model. */

import type { Gpu, Model } from '../contract.ts'
import { activityOf, devices, hostCount, valueOf } from './activity.ts'
import { ageS } from './times.ts'

const total = 'DCGM_FI_DEV_FB_TOTAL'
const parts = ['DCGM_FI_DEV_FB_USED', 'DCGM_FI_DEV_FB_FREE'] as const
const reserved = 'DCGM_FI_DEV_FB_RESERVED'

export function modelsOf(gpus: readonly Gpu[], nowMs: number): Model[] {
  const byModel = [...Map.groupBy(gpus, ({ model_name }) => model_name)]
  const models = byModel.map(([model_name, own]): Model => {
    const { last_seen } = own.reduce((a, b) => (a.age_s <= b.age_s ? a : b))
    return {
      model_name,
      gpus: devices(own),
      hosts: hostCount(own),
      stale_gpus: devices(own.filter(({ stale }) => stale)),
      missing_gpus: devices(own.filter(({ missing_since }) => missing_since !== null)),
      sliced_gpus: devices(own.filter(({ gpu_i_id }) => gpu_i_id !== '')),
      memory_mib: memoryOf(own),
      drivers: driversOf(own),
      last_seen,
      age_s: ageS(last_seen, nowMs),
      stale: own.every(({ stale }) => stale),
      ...activityOf(own),
    }
  })
  return models.sort((a, b) => b.gpus - a.gpus || (a.model_name < b.model_name ? -1 : 1))
}

/** The largest, because a GPU that is in trouble may report less, and none reports more than it has. */
function memoryOf(gpus: readonly Gpu[]): number | null {
  const whole = gpus.filter(({ gpu_i_id }) => gpu_i_id === '')
  const totals = whole.map((gpu) => valueOf(gpu, total)).filter((value) => value !== null)
  const sums = whole.flatMap((gpu) => {
    const values = parts.map((metric) => valueOf(gpu, metric))
    return values.every((value) => value !== null)
      ? [values.reduce((sum, value) => sum + value, valueOf(gpu, reserved) ?? 0)]
      : []
  })
  const known = totals.length > 0 ? totals : sums
  return known.length === 0 ? null : known.reduce((a, b) => Math.max(a, b))
}

function driversOf(gpus: readonly Gpu[]): Record<string, number> {
  const byDriver = Map.groupBy(gpus, ({ labels }) => labels['driver_version'] ?? '')
  byDriver.delete('')
  return Object.fromEntries([...byDriver].map(([driver, own]) => [driver, devices(own)]))
}
