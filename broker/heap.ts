/**
 * V8's young generation, held to a size. By itself it grows to 128 MiB where much survives, as when ten thousand logs are
 * opened, and stays so: half of what such a broker took beside its ring (decision 181).
 */

import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

/** Both halves of it. */
const youngBytesMax = 8 << 20

/**
 * Lets it grow while it is smaller, and not while it is larger. The flag of V8 for its size is read when a process starts; the one
 * for how much it grows at a time, each time that it would.
 */
export class YoungGeneration {
  readonly #bytesMax: number
  #factor: number | undefined

  constructor(bytesMax = youngBytesMax) {
    this.#bytesMax = bytesMax
  }

  /** It stays as it is until {@link tend} is called. */
  hold(): void {
    this.#growBy(1)
  }

  /** To be called every second or so. */
  tend(): void {
    this.#growBy(youngBytes() < this.#bytesMax ? 2 : 1)
  }

  #growBy(factor: number): void {
    if (factor === this.#factor) return
    this.#factor = factor
    setFlagsFromString(`--semi-space-growth-factor=${factor}`)
  }
}

/** What it takes now, in use or not. */
export function youngBytes(): number {
  return getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')?.space_size ?? 0
}
