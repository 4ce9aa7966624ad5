/** Quantiles of what was measured. */

/** The value below which that share of the sorted values lies; NaN of none. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN
}

/** Of times in ms, in any order. They are sorted in place. */
export function latenciesOf(ms: Float64Array): Latencies {
  ms.sort()
  return {
    p50_ms: quantile(ms, 0.5),
    p99_ms: quantile(ms, 0.99),
    p999_ms: quantile(ms, 0.999),
    max_ms: quantile(ms, 1),
  }
}

/** In ms. */
export interface Latencies {
  readonly p50_ms: number
  readonly p99_ms: number
  readonly p999_ms: number
  readonly max_ms: number
}
