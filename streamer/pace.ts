/** How fast rows may go: `--rate N` rows a second, as arithmetic. Who waits is told how long, and does the waiting. */

/** Rows that go out together are at most those of this long, so that a slow pace is even. */
const sliceMs = 50

/** After a pause (a broker that was away) the pace is kept from then on: no burst makes up for it. */
const catchUpMsMax = 1000

export class Pace {
  private readonly rate: number
  private fromMs: number
  private taken = 0

  /** @param rate rows a second, above 0; Infinity for no limit */
  constructor(rate: number, nowMs: number) {
    this.rate = rate
    this.fromMs = nowMs
  }

  /** Rows that may be taken together. */
  get sliceRows(): number {
    return Math.max(1, Math.floor((this.rate * sliceMs) / 1000))
  }

  /** Notes that rows were taken, and tells how long to wait before the next ones. */
  take(rows: number, nowMs: number): number {
    if (this.rate === Infinity) return 0
    this.taken += rows
    const dueMs = this.fromMs + (this.taken * 1000) / this.rate
    if (nowMs - dueMs > catchUpMsMax) {
      this.fromMs = nowMs
      this.taken = 0
      return 0
    }
    return Math.max(0, dueMs - nowMs)
  }
}
