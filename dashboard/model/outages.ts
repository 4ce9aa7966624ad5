/** What was down, so that its return can be told. */

import type { Trouble } from './pipeline.ts'

/** Something is back. */
export interface Recovery {
  readonly id: string
  readonly title: string
  /** How long it was seen as down. */
  readonly downMs: number
}

/** Titles of troubles, and what is said when they are over. */
const endings = [
  [/ is down$/, ' is back'],
  [/ does not answer$/, ' answers again'],
  [/ cannot be read on$/, ' is read on'],
] as const

/** While the API does not answer, nothing is known of the others. */
const veil = 'api'

export class Outages {
  readonly #open = new Map<string, { readonly title: string; readonly sinceMs: number }>()

  /**
   * Takes what is wrong now; returns what was down and is not any more. What has come as far as starting is not back yet.
   *
   * @param troubles see `troublesOf`
   */
  update(troubles: readonly Trouble[], nowMs: number): Recovery[] {
    const now = new Set(troubles.map(({ id }) => id))
    for (const { id, level, title } of troubles) {
      if (level === 'bad' && !this.#open.has(id)) this.#open.set(id, { title, sinceMs: nowMs })
    }
    const back: Recovery[] = []
    for (const [id, { title, sinceMs }] of this.#open) {
      if (now.has(id) || now.has(veil)) continue
      this.#open.delete(id)
      back.push({ id, title: endingOf(title), downMs: nowMs - sinceMs })
    }
    return back
  }
}

function endingOf(title: string): string {
  return endings.reduce((text, [pattern, ending]) => text.replace(pattern, ending), title)
}
