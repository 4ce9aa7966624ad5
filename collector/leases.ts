/**
 * Which records this collector holds, so that the broker can be asked for more time before theirs is over: an outage of the
 * database is no reason to deliver them to somebody else. Pure.
 *
 * Any acknowledgement or extension gives new time to all that the consumer holds of a log, so one id a log will do.
 */

interface Held {
  /** The newest record that was delivered. */
  newest: string
  offset: number
  /** When its time began. */
  sinceMs: number
}

export class Leases {
  readonly #everyMs: number
  /** By `<broker>/<partition>`; a log of which all is acknowledged is not in it. */
  readonly #held = new Map<string, Held>()

  /** @param visibilityMs how long the broker waits for an acknowledgement: a third of it is the time to ask for more */
  constructor(visibilityMs: number) {
    this.#everyMs = visibilityMs / 3
  }

  /** How often to look. */
  get everyMs(): number {
    return this.#everyMs
  }

  delivered(place: string, id: string, offset: number, nowMs: number): void {
    const held = this.#held.get(place)
    if (held === undefined) this.#held.set(place, { newest: id, offset, sinceMs: nowMs })
    // A redelivery goes back; then what came before is not ours any more.
    else Object.assign(held, { newest: id, offset })
  }

  /** Up to and with this offset, all is acknowledged. */
  acknowledged(place: string, offset: number, nowMs: number): void {
    const held = this.#held.get(place)
    if (held === undefined) return
    if (offset >= held.offset) this.#held.delete(place)
    else held.sinceMs = nowMs
  }

  /** Ids to ask more time for; their time begins anew. */
  due(nowMs: number): string[] {
    const due = [...this.#held.values()].filter(({ sinceMs }) => nowMs - sinceMs >= this.#everyMs)
    for (const held of due) held.sinceMs = nowMs
    return due.map(({ newest }) => newest)
  }

  /** The broker says that a record is not ours any more. */
  lost(id: string): void {
    for (const [place, { newest }] of this.#held) if (newest === id) this.#held.delete(place)
  }
}
