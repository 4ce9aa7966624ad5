/** What becomes of the records of a log, by offset: the intent of a write, as the ledger keeps it. Pure. */

import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { type Counts, noCounts } from '../store.ts'

/** Stored, duplicate, not reported, dead. */
export type Outcome = 's' | 'd' | 'n' | 'x'

const counted = { s: 'stored', d: 'duplicate', n: 'not_reported', x: 'dead' } as const

/** Neighbours with one outcome. */
interface Run {
  readonly from: number
  count: number
  readonly outcome: Outcome
}

/** Outcomes by offset, rising. Offsets of which nothing came are not in it. */
export class Outcomes {
  readonly #runs: Run[] = []

  /** @param offset above all that are in it */
  push(offset: number, outcome: Outcome): void {
    const last = this.#runs.at(-1)
    if (last !== undefined && offset < last.from + last.count)
      throw new Error(`offset ${offset} after ${last.from + last.count - 1}`)
    if (last !== undefined && last.outcome === outcome && last.from + last.count === offset) last.count++
    else this.#runs.push({ from: offset, count: 1, outcome })
  }

  /** The offset behind the last one; 0 of none. */
  get end(): number {
    const last = this.#runs.at(-1)
    return last === undefined ? 0 : last.from + last.count
  }

  at(offset: number): Outcome | undefined {
    // Few runs, but for data that is half duplicates: a binary search for those.
    let low = 0
    let high = this.#runs.length
    while (low < high) {
      const middle = (low + high) >> 1
      const run = this.#runs[middle] as Run
      if (offset < run.from) high = middle
      else if (offset >= run.from + run.count) low = middle + 1
      else return run.outcome
    }
    return undefined
  }

  /** Those from `from` on and before `to`. */
  between(from: number, to: number): Outcomes {
    const part = new Outcomes()
    for (const run of this.#runs) {
      const first = Math.max(from, run.from)
      const count = Math.min(to, run.from + run.count) - first
      if (count > 0) part.#runs.push({ from: first, count, outcome: run.outcome })
    }
    return part
  }

  /** These and others that lie behind them. */
  with(others: Outcomes): Outcomes {
    const both = this.between(0, Infinity)
    for (const { from, count, outcome } of others.#runs) {
      both.push(from, outcome)
      ;(both.#runs.at(-1) as Run).count += count - 1
    }
    return both
  }

  counts(): Counts {
    const counts = { ...noCounts }
    for (const { count, outcome } of this.#runs) {
      counts.received += count
      counts[counted[outcome]] += count
    }
    return counts
  }

  /** As one text, in a field of at most 64 KiB whatever 100,000 records become: `1200:s4998,-1,d2`; a long one deflated. */
  encode(): string {
    const [first] = this.#runs
    if (first === undefined) return ''
    let next = first.from
    const parts = this.#runs.map(({ from, count, outcome }) => {
      const gap = from > next ? `-${from - next},` : ''
      next = from + count
      return `${gap}${outcome}${count}`
    })
    const text = `${first.from}:${parts.join()}`
    return text.length <= 1000 ? text : `z${deflateRawSync(text).toString('base64')}`
  }

  /** @throws Error when the text is none that {@link encode} wrote */
  static decode(given: string): Outcomes {
    const outcomes = new Outcomes()
    if (given === '') return outcomes
    const text = given.startsWith('z') ? inflateRawSync(Buffer.from(given.slice(1), 'base64')).toString() : given
    const match = /^(\d+):((?:[sdnx-]\d+,?)+)$/.exec(text)
    if (match === null) throw new Error(`not the outcomes of a write: ${text.slice(0, 60)}`)
    let next = Number(match[1])
    for (const part of (match[2] as string).split(',')) {
      const count = Number(part.slice(1))
      if (!part.startsWith('-')) outcomes.#runs.push({ from: next, count, outcome: part[0] as Outcome })
      next += count
    }
    return outcomes
  }
}
