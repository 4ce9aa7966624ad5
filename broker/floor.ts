/** The disk floor: so many free bytes are left for what groups acknowledge, so that consumers can make room. */

import type { Disk, DiskSpace } from './disk/disk.ts'

const GiB = 2 ** 30

/**
 * What is left where nobody says how much. A journal of a group takes a megabyte or two, so a gigabyte is plenty; of a small
 * disk no more than a twentieth, so that it can be used.
 */
export function usualFloor({ totalBytes }: Pick<DiskSpace, 'totalBytes'>): number {
  return Math.min(GiB, Math.floor(totalBytes / 20))
}

export class DiskFloor {
  readonly #disk: Disk
  readonly #folder: string
  readonly #given: number | undefined
  readonly #report: (problem: string) => void
  #space: DiskSpace | undefined
  /** Bytes taken since the free ones were measured: a fast producer fills a small reserve between two looks at the disk. */
  #taken = 0
  #isUnreadable = false

  /** @param given the floor in bytes, 0 for none; `undefined` takes the usual one */
  constructor(disk: Disk, folder: string, given: number | undefined, report: (problem: string) => void) {
    this.#disk = disk
    this.#folder = folder
    this.#given = given
    this.#report = report
  }

  /** As measured last, less what was taken since; `undefined` when the disk does not tell. */
  get space(): DiskSpace | undefined {
    if (this.#space === undefined) return undefined
    return { ...this.#space, freeBytes: Math.max(0, this.#space.freeBytes - this.#taken) }
  }

  /** In bytes. */
  get bytes(): number {
    return this.#given ?? (this.#space === undefined ? 0 : usualFloor(this.#space))
  }

  /** Why nothing is produced, when the floor is reached. */
  get reached(): string | undefined {
    return this.#isBelow(this.bytes)
  }

  /**
   * The same for dead letters: they may use half of the reserve, because a consumer that cannot give up on a bad record
   * cannot go on, and so cannot make room.
   */
  get reachedByDead(): string | undefined {
    return this.#isBelow(this.bytes / 2)
  }

  /** Notes that so many bytes are about to be written. */
  take(bytes: number): void {
    this.#taken += bytes
  }

  async measure(): Promise<void> {
    const known = this.#taken
    try {
      this.#space = await this.#disk.space(this.#folder)
      this.#taken -= known
      this.#isUnreadable = false
    } catch (error) {
      if (!this.#isUnreadable)
        this.#report(`the free space of ${this.#folder} is not known: ${(error as Error).message}`)
      this.#isUnreadable = true
      this.#space = undefined
    }
  }

  #isBelow(bytes: number): string | undefined {
    if (this.#space === undefined || bytes === 0) return undefined
    const freeBytes = Math.max(0, this.#space.freeBytes - this.#taken)
    if (freeBytes >= bytes) return undefined
    return `${freeBytes} bytes of the disk are free, records are taken from ${Math.ceil(bytes)} on (DISK_FLOOR)`
  }
}
