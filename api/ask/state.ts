/** What a GPU is doing, by its newest values. Pure. */

import type { Gpu, LatestValue } from '../contract.ts'

/** The engine's own metrics, the better one first: utilisation counts any kernel, and says nothing of a MIG slice. */
export const activityMetrics: readonly string[] = ['DCGM_FI_PROF_GR_ENGINE_ACTIVE', 'DCGM_FI_DEV_GPU_UTIL']

export const states = ['active', 'idle', 'stale', 'not_reported', 'unknown'] as const
export type GpuState = (typeof states)[number]

/** Without a duration: that it was idle for long is for those to say who look at a range. */
export function stateOf(gpu: Pick<Gpu, 'stale' | 'gpu_i_id' | 'values'>, staleAfterMs: number): GpuState {
  if (gpu.stale) return 'stale'
  const metrics = gpu.gpu_i_id === '' ? activityMetrics : activityMetrics.slice(0, 1)
  const isFresh = (reading: LatestValue | undefined): reading is LatestValue =>
    reading !== undefined && reading.age_s * 1000 <= staleAfterMs
  const readings = metrics.map((metric) => gpu.values[metric]).filter(isFresh)
  const activity = readings.find(({ value }) => value !== null)?.value
  if (activity !== undefined && activity !== null) return activity > 0 ? 'active' : 'idle'
  return readings.length > 0 ? 'not_reported' : 'unknown'
}
