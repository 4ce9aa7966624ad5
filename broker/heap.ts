/**
 * V8's young generation, held to a size. By itself it grows to 128 MiB where much survives, as when ten thousand logs are
 * opened, and stays so: more than all objects of these logs together (decision 181).
 */

import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'

/** From here on a broker has so many logs that their memory counts for more than how often garbage is collected. */
const manyLogs = 1_000

/** Both halves of it. A broker of few logs was no faster with more than 32 MiB, and in requests of one record slower with 8. */
export function youngBytesFor(logs: number): number {
  return logs < manyLogs ? 32 << 20 : 8 << 20
}

/**
 * The flag of V8 for its size is read when a process starts; the one for how much it grows at a time, each time that it would.
 */
export class YoungGeneration {
  #factor: number | undefined

  /** It stays as it is until {@link tend} is called. */
  hold(): void {
    this.#growBy(1)
  }

  /** Lets it grow while it is smaller than that, and not beyond. To be called every second or so. */
  tend(bytesMax: number): void {
    this.#growBy(youngBytes() < bytesMax ? 2 : 1)
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
