/**
 * Settles a batch: dead letters first, then the store. What the store refuses is found by halving and becomes a dead letter
 * with the store's reason; its neighbours are stored.
 */

import type { Clock } from '#lib/clock'
import type { Log } from '#lib/log'
import { RefusedRecords, StoreError } from '#store/errors'
import { addCounts, type Counts, type Store, type WriteBatch } from '#store/store'
import { Problem } from '#wire/problems'
import type { Letter, Settlement } from './batch.ts'
import type { Figures } from './figures.ts'
import type { Gate } from './gate.ts'
import { halvesOf, recordsOf, without } from './pieces.ts'

export interface SettlerParts {
  readonly clock: Clock
  readonly store: Store
  /** Sends letters to the topic's dead letters; resolves when they are kept. */
  readonly dead: (letters: readonly Letter[]) => Promise<unknown>
  /** Before the store; see {@link storeMayRepeat}. */
  readonly storeGate: Gate
  /** Before the dead letters; see {@link deadMayRepeat}. */
  readonly deadGate: Gate
  readonly log: Log
  readonly figures: Figures
}

/** For the gate of a store. */
export function storeMayRepeat(error: unknown): number | false {
  return error instanceof StoreError && error.retry ? error.retryAfterMs : false
}

/** For the gate of the dead letters: everything but a broker that says no, and would say it again. */
export function deadMayRepeat(error: unknown): number | false {
  return isRefusal(error) ? false : 0
}

export class Settler {
  readonly #parts: SettlerParts

  constructor(parts: SettlerParts) {
    this.#parts = parts
  }

  /**
   * Resolves when every record of the batch is stored or with the dead letters, and the ledger has counted it.
   *
   * @throws StoreError when the store fails in a way that no waiting mends; whatever failed last once the signal has aborted
   */
  async settle({ letters, write, letterOf }: Settlement, signal: AbortSignal): Promise<void> {
    await this.#bury(letters, signal)
    const { dead } = await this.#write(write, letterOf, signal)
    if (dead > 0) this.#parts.log.warn({ topic: write.topic, dead }, 'records went to the dead letters')
  }

  async #write(write: WriteBatch, letterOf: Settlement['letterOf'], signal: AbortSignal): Promise<Counts> {
    const { storeGate } = this.#parts
    try {
      return await storeGate.pass(() => this.#attempt(write), signal)
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'refused') throw error
      const refused = error instanceof RefusedRecords ? error.records : onlyOf(write, error.message)
      if (refused !== undefined) {
        const rest = without(write, refused)
        // An engine that refuses what is not there would be asked for ever.
        if (recordsOf(rest) === recordsOf(write)) throw error
        await this.#bury(refused.flatMap(letterOf), signal)
        return this.#write(rest, letterOf, signal)
      }
      const halves = halvesOf(write)
      if (halves === undefined) throw error
      const first = await this.#write(halves[0], letterOf, signal)
      return addCounts(first, await this.#write(halves[1], letterOf, signal))
    }
  }

  async #attempt(write: WriteBatch): Promise<Counts> {
    const { store, clock, figures } = this.#parts
    const startMs = clock.monotonicMs()
    try {
      const counts = await store.write(write)
      figures.written(write, counts, (clock.monotonicMs() - startMs) / 1000)
      return counts
    } catch (error) {
      figures.failed()
      throw error
    }
  }

  async #bury(letters: readonly Letter[], signal: AbortSignal): Promise<void> {
    if (letters.length === 0) return
    const { deadGate, dead } = this.#parts
    await sendLetters(letters, (some) => deadGate.pass(() => dead(some), signal))
  }
}

/** The record of a batch that has one. */
function onlyOf(write: WriteBatch, reason: string) {
  if (recordsOf(write) !== 1) return undefined
  return write.parts.flatMap(({ logId, offsets }) => offsets.map((offset) => ({ logId, offset, reason })))
}

/** Sends letters; if the broker refuses them for good, one by one, and one that it refuses alone without its row. */
async function sendLetters(
  letters: readonly Letter[],
  send: (letters: readonly Letter[]) => Promise<unknown>,
): Promise<void> {
  try {
    await send(letters)
  } catch (error) {
    if (!isRefusal(error)) throw error
    const [only] = letters
    if (letters.length > 1) for (const letter of letters) await sendLetters([letter], send)
    else if (only === undefined || only.row === '') throw error
    else await send([{ ...only, row: '', reason: `${only.reason} (without its row: ${(error as Problem).message})` }])
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof Problem && !error.retry
}
