/** Time zones, for sources whose times have none: what a clock on the wall showed becomes a moment. */

const dayMs = 86_400_000

/** Zones change their offset at whole quarters of an hour only. */
const slotMs = 900_000

export class Zone {
  private readonly format: Intl.DateTimeFormat
  private slot = Number.NaN
  private offsetMs = 0

  /**
   * @param name as the IANA calls it, such as `Europe/Berlin`; `local` for that of this machine
   * @throws RangeError for a name that nobody knows
   */
  constructor(name: string) {
    this.format = new Intl.DateTimeFormat('en-US', {
      ...(name === 'local' ? undefined : { timeZone: name }),
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
  }

  /**
   * The moment at which a clock of the zone shows what a clock in UTC shows at `wallMs`. Of the two that an hour shown twice
   * has (the end of summer time) the first; an hour that is never shown is read by the offset before it.
   */
  momentOf(wallMs: number): number {
    const slot = Math.floor(wallMs / slotMs)
    if (slot !== this.slot) {
      this.slot = slot
      this.offsetMs = this.offsetNear(slot * slotMs)
    }
    return wallMs - this.offsetMs
  }

  private offsetNear(wallMs: number): number {
    const before = this.offsetAt(wallMs - dayMs)
    const after = this.offsetAt(wallMs + dayMs)
    const isBefore = this.offsetAt(wallMs - before) === before
    return isBefore || this.offsetAt(wallMs - after) !== after ? before : after
  }

  private offsetAt(ms: number): number {
    const parts: Record<string, number> = {}
    for (const { type, value } of this.format.formatToParts(ms)) parts[type] = Number(value)
    const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = parts
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1000) * 1000
  }
}
