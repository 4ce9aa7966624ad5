/** The records of a load test: no two of a run have one identity, so that what is stored can be counted. */

/** Of each work. */
export const gpus = 50

export const metric = 'DCGM_FI_DEV_GPU_UTIL'

export function uuidOf(work: string, n: number): string {
  return `GPU-${work.replaceAll('_', '-')}-${String(n % gpus).padStart(2, '0')}`
}

/**
 * Record `n` of a work, as a line. A GPU's values are a millisecond apart, from the start of the run on: below 50,000 records a
 * second of one work none of them lies ahead of the clock.
 */
export function recordOf(work: string, n: number, startMs: number): string {
  return JSON.stringify({
    kind: 'gpu',
    time: new Date(startMs + Math.floor(n / gpus)).toISOString(),
    device_id: `nvidia${n % 8}`,
    metric,
    value: n % 101,
    gpu_id: String(n % 8),
    uuid: uuidOf(work, n),
    model_name: 'NVIDIA H100 80GB HBM3',
    hostname: `load-${Math.floor((n % gpus) / 8)}`,
  })
}
