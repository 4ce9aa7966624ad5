/**
 * How fast rows may go, as arithmetic: `--rate N` rows a second, or as far apart as their times are (`--realtime`, `--speed X`).
 * Who waits is told how long, and does the waiting.
 */

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

/**
 * Rows at the pace of their own times. A row is due as long after the one before it as its time is later, divided by the speed;
 * a row whose time is not later is due with the one before it, so that times that go back hold nothing up.
 */
export class Replay {
  private readonly speed: number
  private readonly gapMsMax: number
  /** The latest time that was due, and when it was. */
  private timeMs = -Infinity
  private dueMs = -Infinity
  private isNew = true

  /**
   * @param speed 1 is as it was, 10 ten times as fast
   * @param gapMsMax longer waits are as long as this
   */
  constructor(speed: number, gapMsMax: number) {
    this.speed = speed
    this.gapMsMax = gapMsMax
  }

  /** Another file begins: where its times lie behind those of the file before, they are played anew, and not at once. */
  begin(): void {
    this.isNew = true
  }

  /** How long until rows of this time may go; 0 when they may. Each new time is asked for in the order of the rows. */
  waitMs(timeMs: number, nowMs: number): number {
    if (Number.isNaN(timeMs)) return 0
    const isFirst = this.timeMs === -Infinity || (this.isNew && timeMs < this.timeMs)
    this.isNew = false
    if (isFirst) {
      this.timeMs = timeMs
      this.dueMs = nowMs
    } else if (timeMs > this.timeMs) {
      this.dueMs += Math.min((timeMs - this.timeMs) / this.speed, this.gapMsMax)
      this.timeMs = timeMs
      if (nowMs - this.dueMs > catchUpMsMax) this.dueMs = nowMs
    }
    const waitMs = this.dueMs - nowMs
    // Rows that are so near to each other go out together.
    return waitMs <= sliceMs ? 0 : waitMs
  }
}
