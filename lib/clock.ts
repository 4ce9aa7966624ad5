/** The two clocks of a process, handed in so that a test or a simulation can move them. */
export interface Clock {
  /** Milliseconds since 1970. It may jump either way; for what people and other machines read. */
  wallMs(): number
  /** Milliseconds since some fixed moment. It never goes back; for deadlines and durations. */
  monotonicMs(): number
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
}

export interface ManualClock extends Clock {
  /** Moves both clocks forward. */
  advance(ms: number): void
  /** Sets the wall clock alone, as an operator or NTP does. */
  setWall(ms: number): void
}

/** A clock that stands still until it is moved. The monotonic one starts at 0. */
export function manualClock(startMs: number): ManualClock {
  let wallMs = startMs
  let monotonicMs = 0
  return {
    wallMs: () => wallMs,
    monotonicMs: () => monotonicMs,
    advance(ms) {
      if (!(ms >= 0)) throw new RangeError(`a clock cannot advance by ${ms} ms`)
      wallMs += ms
      monotonicMs += ms
    },
    setWall(ms) {
      wallMs = ms
    },
  }
}
