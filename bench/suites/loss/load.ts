/** The samples, as they come to each row: a tick a second, in which each series has one sample. */

import { appendFile, mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { valueOf, type Plan, type Series } from './plan.ts'

export const tickMs = 1_000

/** Samples of one tick come in so many pieces, so that they do not come all at once. */
const piecesATick = 10

/** What a row is offered. */
export interface Load {
  /** Ticks that are over. */
  readonly ticks: number
  /** Samples of these ticks. */
  offered(fromTick: number, toTick: number): number
  /** Samples that the source still holds, because nobody took them yet. */
  readonly held: number
  /** Makes no more; also when it has stopped already. */
  stop(): Promise<void>
}

/** The samples of some series in one tick. */
interface Piece {
  readonly tick: number
  readonly timeMs: number
  readonly series: readonly Series[]
}

/** Takes the pieces of a load; `held` as in {@link Load}. */
interface Sink {
  take(piece: Piece): void
  readonly held: number
  /** After the last piece, before it is waited for what is held. */
  finish(): Promise<void>
}

/** Makes ticks by the wall clock until it is stopped; what the event loop is late with comes at once. */
export class Ticker implements Load {
  readonly startMs: number
  readonly #plan: Plan
  readonly #sink: Sink
  readonly #timer: NodeJS.Timeout
  #pieces = 0
  #stopping: Promise<void> | undefined

  constructor(plan: Plan, sink: Sink) {
    this.#plan = plan
    this.#sink = sink
    // From the next whole second on, so that a tick is a second of the database's clock.
    this.startMs = Math.ceil(Date.now() / tickMs) * tickMs
    this.#timer = setInterval(() => this.#catchUp(), tickMs / piecesATick)
  }

  get ticks(): number {
    return Math.floor(this.#pieces / piecesATick)
  }

  get held(): number {
    return this.#sink.held
  }

  offered(fromTick: number, toTick: number): number {
    return (toTick - fromTick) * this.#plan.series.length
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop())
  }

  async #stop(): Promise<void> {
    clearInterval(this.#timer)
    while (this.#pieces % piecesATick !== 0) this.#emit()
    await this.#sink.finish()
  }

  #catchUp(): void {
    const due = Math.floor(((Date.now() - this.startMs) * piecesATick) / tickMs)
    while (this.#pieces < due) this.#emit()
  }

  #emit(): void {
    const { series } = this.#plan
    const tick = Math.floor(this.#pieces / piecesATick)
    const part = this.#pieces % piecesATick
    const from = Math.floor((part * series.length) / piecesATick)
    const to = Math.floor(((part + 1) * series.length) / piecesATick)
    this.#pieces++
    this.#sink.take({ tick, timeMs: this.startMs + tick * tickMs, series: series.slice(from, to) })
  }
}

/** After the end, what is refused is tried for as long as a start may take; */
const startMsMax = 60_000
/** and what is taken, only slowly, for so long: a buffer that is synced for each point may take hours for what is held. */
const drainMsMax = 300_000

/** Posts line protocol, and keeps each piece until it is answered with success: a sensor that forgets nothing by itself. */
export class Posts implements Sink {
  readonly #url: string
  readonly #waiting: Piece[] = []
  readonly #senders: Promise<void>[]
  #inFlight = 0
  /** When the last piece was made. */
  #overMs = Infinity

  constructor(url: string) {
    this.#url = url
    this.#senders = Array.from({ length: 4 }, () => this.#sendAll())
  }

  take(piece: Piece): void {
    this.#waiting.push(piece)
  }

  get held(): number {
    return this.#inFlight + this.#waiting.reduce((sum, { series }) => sum + series.length, 0)
  }

  async finish(): Promise<void> {
    this.#overMs = performance.now()
    await Promise.all(this.#senders)
  }

  async #sendAll(): Promise<void> {
    for (;;) {
      if (performance.now() > this.#overMs + drainMsMax) return
      const piece = this.#waiting.shift()
      if (piece === undefined) {
        if (this.#isOver) return
        await sleep(20)
        continue
      }
      this.#inFlight += piece.series.length
      const body = linesOf(piece)
      while (!(await this.#send(body))) {
        if (performance.now() > this.#overMs + startMsMax) return
        await sleep(200)
      }
      this.#inFlight -= piece.series.length
    }
  }

  get #isOver(): boolean {
    return this.#overMs < Infinity
  }

  async #send(body: string): Promise<boolean> {
    try {
      const answer = await fetch(this.#url, { method: 'POST', body, signal: AbortSignal.timeout(10_000) })
      await answer.arrayBuffer()
      return answer.ok
    } catch {
      return false
    }
  }
}

/** Appends to files one after the other; what is not written yet is held. */
abstract class Files implements Sink {
  #last: Promise<void> = Promise.resolve()
  #held = 0

  abstract take(piece: Piece): void

  get held(): number {
    return this.#held
  }

  finish(): Promise<void> {
    return this.#last
  }

  protected write(samples: number, work: () => Promise<void>): void {
    this.#held += samples
    this.#last = this.#last.then(work).then(() => void (this.#held -= samples))
  }
}

/** One file of line protocol that grows. */
export class GrowingFile extends Files {
  readonly #path: string

  constructor(path: string) {
    super()
    this.#path = path
  }

  take(piece: Piece): void {
    this.write(piece.series.length, () => appendFile(this.#path, linesOf(piece)))
  }
}

/** Ticks of a file in a {@link CsvFolder}. */
const ticksAFile = 5

/** A folder to which an exporter adds a DCGM export every few seconds, whole or not at all. */
export class CsvFolder extends Files {
  readonly #folder: string
  #rows: string[] = []
  #files = 0
  #firstTick = 0

  constructor(folder: string) {
    super()
    this.#folder = folder
    this.write(0, async () => void (await mkdir(folder, { recursive: true })))
  }

  take(piece: Piece): void {
    if (piece.tick >= this.#firstTick + ticksAFile) {
      this.#close()
      this.#firstTick = piece.tick
    }
    const time = new Date(piece.timeMs).toISOString()
    const value = valueOf(piece.tick).toFixed(1)
    for (const { uuid, metric } of piece.series) this.#rows.push(`${time},${metric},${uuid},${value}`)
  }

  override finish(): Promise<void> {
    this.#close()
    return super.finish()
  }

  #close(): void {
    const rows = this.#rows
    const path = join(this.#folder, `export-${String(this.#files++).padStart(6, '0')}.csv`)
    this.#rows = []
    this.write(rows.length, async () => {
      await writeFile(`${path}.part`, `timestamp,metric_name,uuid,value\n${rows.join('\n')}\n`)
      await rename(`${path}.part`, path)
    })
  }
}

/** The measurement, tags and field are those of Penstock's store, so that one query counts in every row. */
function linesOf({ tick, timeMs, series }: Piece): string {
  const rest = ` value=${valueOf(tick).toFixed(1)} ${timeMs}000000\n`
  return series.map(({ uuid, metric }) => `gpu,metric=${metric},uuid=${uuid}${rest}`).join('')
}
