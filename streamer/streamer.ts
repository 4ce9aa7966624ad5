/**
 * Goes through the sources: one file after the other, so that memory and order stay plain, and round again with `--loop`.
 * A file that cannot be read is told in its status and does not hold up the others.
 */

import type { Readable } from 'node:stream'
import type { Batch } from './batch.ts'
import { judge, newCheckpoint, nextPass, type FileCheckpoint } from './checkpoint.ts'
import type { Tracer } from '#lib/tracing'
import type { Zone } from '#telemetry/zone'
import type { SourceStatus } from '#wire/status'
import type { CheckpointStore, Durability } from './checkpoint-store.ts'
import { canGrow, findFiles, openFile, sourceName } from './files.ts'
import { runFile } from './file-run.ts'
import type { Format } from './formats/format.ts'
import { joinSpans, loopPeriodMs, noSpan } from './formats/times.ts'
import { inputEntry, inputFile, isInput } from './input.ts'
import type { OpenLane } from './lane.ts'
import type { Pace, Replay } from './pace.ts'
import { SourceError, type OpenFile } from './source.ts'

export interface StreamerOptions {
  readonly entries: readonly string[]
  /** Standard input, for the entry that stands for it. */
  readonly input?: (() => Readable) | undefined
  readonly loop: boolean
  readonly rescanMs: number
  /** Of rows that name none. */
  readonly host: string
  /** Of times that have none; without it they are UTC. */
  readonly zone?: Zone | undefined
  readonly topics: Readonly<Record<Format['name'], string>>
  readonly openLane: OpenLane
  readonly checkpoints: CheckpointStore
  readonly pace: Pace
  /** Rows go at the pace of their times, too. */
  readonly replay?: Replay | undefined
  readonly onGap?: ((ms: number) => void) | undefined
  /** The first row's time becomes what this tells when it is read, and all others keep their distance to it. */
  readonly wallMs?: (() => number) | undefined
  readonly nowMs: () => number
  readonly wait: (ms: number) => Promise<void>
  /** A name that no other producer has. */
  readonly newProducer: () => string
  readonly onBatch: (batch: Batch, topic: string) => void
  /** One line about a source that an operator must know of. */
  readonly onError: (message: string) => void
  readonly onDone: (source: SourceStatus) => void
  readonly tracer?: Tracer | undefined
}

export class Streamer {
  private readonly options: StreamerOptions
  private readonly statuses = new Map<string, SourceStatus>()
  private idle = false
  /** One for all files of a run, that of an earlier run where there is one: what lay apart stays apart. */
  private shiftMs: number | undefined

  constructor(options: StreamerOptions) {
    this.options = options
  }

  get sources(): readonly SourceStatus[] {
    return [...this.statuses.values()]
  }

  /** Every source is at its end, and everything is acknowledged. */
  get done(): boolean {
    return this.idle
  }

  /** Returns when the signal aborts, and when nothing can come any more. */
  async run(signal: AbortSignal): Promise<void> {
    const { entries, loop, rescanMs, wait } = this.options
    if (isInput(entries)) return this.runInput(signal)
    for (let pass = 0; !signal.aborted;) {
      const files = await this.find()
      const settled = await this.runPass(files, pass, signal)
      if (signal.aborted) return
      if (loop && settled > 0) {
        pass++
        continue
      }
      this.idle = true
      if (!(await canGrow(entries))) return
      await wait(rescanMs)
    }
  }

  /** Reads standard input to its end. Nothing is kept of it: who starts again is given other rows. */
  private async runInput(signal: AbortSignal): Promise<void> {
    const { input, newProducer } = this.options
    if (input === undefined) throw new Error('there is no standard input here: want files')
    const file = inputFile(input(), signal)
    try {
      const checkpoint = newCheckpoint(file.fingerprint, newProducer(), noSpan)
      this.show(inputEntry, 0, checkpoint)
      await this.read(file, inputEntry, checkpoint, async () => {}, signal)
    } catch (error) {
      if (!(error instanceof SourceError)) throw error
      // Stopped before its first line.
      if (!signal.aborted) this.fail(this.statuses.get(inputEntry) ?? emptyStatus(inputEntry), error.message)
    } finally {
      await file.close()
    }
    this.idle = true
  }

  private async find(): Promise<readonly string[]> {
    const { files, missing } = await findFiles(this.options.entries)
    for (const name of this.statuses.keys()) {
      // What was missing and is there now is a source under its own name.
      if (this.statuses.get(name)?.path === '' && !missing.some((each) => each.name === name))
        this.statuses.delete(name)
    }
    for (const { name, reason } of missing) {
      if (!this.statuses.has(name)) this.fail({ ...emptyStatus(name), path: '' }, reason)
    }
    return files
  }

  /** Reads what is unread of each file in this pass; returns how many are settled in it. */
  private async runPass(files: readonly string[], pass: number, signal: AbortSignal): Promise<number> {
    let settled = 0
    for (const path of files) {
      if (signal.aborted) break
      try {
        if (await this.runOne(path, pass, signal)) settled++
      } catch (error) {
        if (!(error instanceof SourceError)) throw error
        this.fail(this.statuses.get(path) ?? emptyStatus(path), error.message)
      }
    }
    return settled
  }

  private async runOne(path: string, pass: number, signal: AbortSignal): Promise<boolean> {
    const { checkpoints, newProducer } = this.options
    const failed = this.statuses.get(path)
    const file = await openFile(path)
    try {
      // A broken file is looked at again only when it is another one.
      if (failed?.error !== undefined && failed.size === file.fingerprint.size) return false
      let checkpoint = await this.checkpointOf(file)
      if (checkpoint?.atEnd === true && checkpoint.pass < pass) checkpoint = nextPass(checkpoint)
      if (checkpoint === undefined) {
        checkpoint = newCheckpoint(file.fingerprint, newProducer(), noSpan)
        // The producer's name must be known before anything is sent under it.
        await checkpoints.put(path, checkpoint, 'synced')
      }
      this.shiftMs ??= checkpoint.shiftMs
      const { size } = file.fingerprint
      this.show(path, size, checkpoint)
      if (checkpoint.atEnd) return true
      this.idle = false
      const keep = (next: FileCheckpoint, durability: Durability): Promise<void> =>
        checkpoints.put(path, next, durability)
      return await this.read(file, path, checkpoint, keep, signal)
    } finally {
      await file.close()
    }
  }

  /** Sends what is unread of an open file; whether that was all. */
  private async read(
    file: OpenFile,
    path: string,
    checkpoint: FileCheckpoint,
    keep: (checkpoint: FileCheckpoint, durability: Durability) => Promise<void>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { openLane, pace, replay, onGap, wallMs, nowMs, wait, topics, onBatch, host, zone, tracer } = this.options
    const { size } = file.fingerprint
    let last = checkpoint
    await runFile(file, checkpoint, {
      tracer,
      topics,
      host,
      zone,
      openLane,
      pace,
      replay,
      onGap,
      shift: wallMs === undefined ? undefined : (this.shiftMs ?? wallMs),
      nowMs,
      wait,
      onBatch,
      signal,
      periodMs: checkpoint.pass === 0 ? 0 : await this.periodMs(),
      onFormat: (format) => this.show(path, size, { ...last, format }),
      save: async (next, durability = 'written') => {
        await keep(next, durability)
        last = next
        this.shiftMs ??= next.shiftMs
        this.show(path, size, next)
      },
    })
    if (!last.atEnd) return false
    this.options.onDone(this.statuses.get(path) as SourceStatus)
    return true
  }

  /** What is known of this file, brought to the state it is in; `undefined` when it is to be read anew. */
  private async checkpointOf(file: OpenFile): Promise<FileCheckpoint | undefined> {
    const checkpoint = await this.options.checkpoints.get(file.path)
    if (checkpoint === undefined) return undefined
    const { headBytes } = checkpoint.fingerprint
    const seen = { ...file.fingerprint, headBytes, head: await file.headOf(headBytes) }
    const verdict = judge(checkpoint, seen, file.compressed)
    if (verdict === 'new') return undefined
    return verdict === 'settled' ? checkpoint : { ...checkpoint, atEnd: false }
  }

  /** One period for all files, so that they stay in step; the first pass over all of them fixes it. */
  private async periodMs(): Promise<number> {
    const { checkpoints } = this.options
    const known = await checkpoints.periodMs()
    if (known !== undefined) return known
    let span = noSpan
    for (const { path } of this.sources) {
      const checkpoint = await checkpoints.get(path)
      if (checkpoint !== undefined) span = joinSpans(span, checkpoint.span)
    }
    const periodMs = loopPeriodMs(span)
    await checkpoints.putPeriodMs(periodMs)
    return periodMs
  }

  private show(path: string, size: number, checkpoint: FileCheckpoint): void {
    const { format, offset, rows, dead, atEnd } = checkpoint
    this.statuses.set(path, { name: sourceName(path), path, format, bytes: offset, size, rows, dead, done: atEnd })
  }

  private fail(status: SourceStatus, error: string): void {
    const before = this.statuses.get(status.path === '' ? status.name : status.path)
    if (before?.error === error) return
    this.statuses.set(status.path === '' ? status.name : status.path, { ...status, error, done: true })
    this.options.onError(error)
  }
}

function emptyStatus(path: string): SourceStatus {
  return { name: sourceName(path), path, format: undefined, bytes: 0, size: 0, rows: 0, dead: 0, done: false }
}
