/**
 * A durable bound above all offsets that a log has shown without having synced them (durability `disk` and `memory`).
 *
 * After a stop that was not clean such a log goes on at the bound: a record that some reader saw, and some group may have
 * acknowledged, is lost then, and no new record may get its offset.
 *
 *     partition-3/reservation
 *     {"next":1000000}
 */

import type { Offset } from '#wire/ids'

import { readWhole, replaceWhole, type Disk } from '../disk/disk.ts'

const fileName = 'reservation'

export class Reservation {
  readonly #disk: Disk
  readonly #folder: string
  readonly #ahead: number
  #reserved: number
  #kept: boolean
  #writing: Promise<void> | undefined

  /**
   * Reads what an earlier run left.
   *
   * @param names what stands in the folder
   * @param ahead how many records beyond the end are reserved at once
   */
  static async open(disk: Disk, folder: string, names: readonly string[], ahead: number): Promise<Reservation> {
    if (!names.includes(fileName)) return new Reservation(disk, folder, ahead, 0, false)
    const text = (await readWhole(disk, `${folder}/${fileName}`)).toString('latin1')
    const next = Number(/^\{"next":(\d{1,16})\}\n$/.exec(text)?.[1])
    if (!Number.isSafeInteger(next)) {
      throw new Error(
        `${folder}/${fileName} is damaged: it keeps offsets from being used twice. ` +
          `Write {"next":N} into it, N above every id that any reader has seen`,
      )
    }
    return new Reservation(disk, folder, ahead, next, true)
  }

  private constructor(disk: Disk, folder: string, ahead: number, reserved: number, kept: boolean) {
    this.#disk = disk
    this.#folder = folder
    this.#ahead = ahead
    this.#reserved = reserved
    this.#kept = kept
  }

  /** Where an unclean stop leaves off; `undefined` after a clean one. */
  get leftOff(): Offset | undefined {
    return this.#kept ? (this.#reserved as Offset) : undefined
  }

  /** Whether offsets below `next` may be shown. */
  covers(next: Offset): boolean {
    return this.#kept && next <= this.#reserved
  }

  /** Resolves when offsets below `next` may be shown; rejects with the error of the disk. */
  async cover(next: Offset): Promise<void> {
    while (!this.covers(next)) {
      // One write at a time; whoever waited looks again.
      if (this.#writing !== undefined) await this.#writing
      else await (this.#writing = this.#write(next + this.#ahead).finally(() => (this.#writing = undefined)))
    }
  }

  /** After a clean stop: everything that was shown is in the files. */
  async remove(): Promise<void> {
    if (!this.#kept) return
    await this.#disk.remove(`${this.#folder}/${fileName}`)
    await this.#disk.syncFolder(this.#folder)
    this.#kept = false
  }

  async #write(next: number): Promise<void> {
    await replaceWhole(this.#disk, this.#folder, fileName, Buffer.from(`{"next":${next}}\n`))
    this.#reserved = next
    this.#kept = true
  }
}
