/**
 * What is to happen, by time. The model moves from event to event, never from tick to tick: that is why it can be
 * sampled at any interval, and wound forward by a week, at the cost of its events alone.
 */

interface Entry {
  readonly ms: number
  readonly order: number
  readonly happen: (ms: number) => void
}

/** A binary heap of events. Those of one moment happen in the order in which they were entered. */
export class Agenda {
  readonly #heap: Entry[] = []
  #entered = 0

  /** Has `happen` called with its time, when {@link run} comes to it. */
  at(ms: number, happen: (ms: number) => void): void {
    const entry = { ms, order: this.#entered++, happen }
    let place = this.#heap.push(entry) - 1
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (!before(entry, this.#heap[parent] as Entry)) break
      this.#heap[place] = this.#heap[parent] as Entry
      place = parent
    }
    this.#heap[place] = entry
  }

  /** Lets all events up to and including `toMs` happen, those they enter among them. */
  run(toMs: number): void {
    for (let first = this.#heap[0]; first !== undefined && first.ms <= toMs; first = this.#heap[0]) {
      this.#removeFirst()
      first.happen(first.ms)
    }
  }

  #removeFirst(): void {
    const last = this.#heap.pop() as Entry
    const size = this.#heap.length
    if (size === 0) return
    let place = 0
    for (let child = 1; child < size; child = 2 * place + 1) {
      if (child + 1 < size && before(this.#heap[child + 1] as Entry, this.#heap[child] as Entry)) child++
      if (!before(this.#heap[child] as Entry, last)) break
      this.#heap[place] = this.#heap[child] as Entry
      place = child
    }
    this.#heap[place] = last
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.ms < b.ms || (a.ms === b.ms && a.order < b.order)
}
