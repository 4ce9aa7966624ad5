/** What is done to each row: how many samples of which series, which faults, and for how long. */

/** One series of samples. */
export interface Series {
  readonly uuid: string
  readonly metric: string
}

export interface Plan {
  /** Samples a second, of as many series. */
  readonly rate: number
  readonly series: readonly Series[]
  /** Before the first fault. */
  readonly warmMs: number
  /** How long the database is away, and then the link. */
  readonly faultMs: number
  /** Between two faults. */
  readonly restMs: number
  /** From a kill to the start of the same again: what a supervisor takes. */
  readonly downMs: number
  /** Nothing new for so long is the end of it: longer than any pause between two tries of a peer. */
  readonly quietMs: number
  /** What is not stored so long after the last sample is not waited for. */
  readonly settleMsMax: number
}

/** So many metrics a GPU; their values, 0 to 99.5, are plausible in each. */
const metrics = [
  'DCGM_FI_DEV_GPU_UTIL',
  'DCGM_FI_DEV_MEM_COPY_UTIL',
  'DCGM_FI_DEV_ENC_UTIL',
  'DCGM_FI_DEV_DEC_UTIL',
  'DCGM_FI_DEV_GPU_TEMP',
  'DCGM_FI_DEV_MEMORY_TEMP',
  'DCGM_FI_DEV_POWER_USAGE',
  'DCGM_FI_DEV_FB_USED',
  'DCGM_FI_DEV_FB_FREE',
  'DCGM_FI_DEV_SM_CLOCK',
]

export function planOf(rate: number, quick: boolean): Plan {
  const series = Array.from({ length: rate }, (_, at) => ({
    uuid: `GPU-${Math.floor(at / metrics.length)}`,
    metric: metrics[at % metrics.length] as string,
  }))
  const times = quick
    ? { warmMs: 10_000, faultMs: 10_000, restMs: 12_000 }
    : { warmMs: 15_000, faultMs: 60_000, restMs: 30_000 }
  return { rate, series, ...times, downMs: 2_000, quietMs: quick ? 20_000 : 45_000, settleMsMax: 300_000 }
}

/** Of the tick: not the same twice in a row, and a float. */
export function valueOf(tick: number): number {
  return (tick % 200) / 2
}
