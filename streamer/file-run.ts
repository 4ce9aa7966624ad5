/** Reads one file from its checkpoint to its end: bytes, rows, batches, acknowledgements, checkpoints. */

import type { Tracer } from '#lib/tracing'
import type { Zone } from '#telemetry/zone'
import { Batcher, type Batch } from './batch.ts'
import type { FileCheckpoint } from './checkpoint.ts'
import type { Durability } from './checkpoint-store.ts'
import { CsvReader, fieldsMax } from './formats/csv.ts'
import { formatOf, type Format } from './formats/format.ts'
import { TimeShift, noSpan } from './formats/times.ts'
import type { Lane, OpenLane } from './lane.ts'
import type { Pace, Replay } from './pace.ts'
import { SourceError, type OpenFile, type Text } from './source.ts'
import { beginBatch } from './traces.ts'
import { Settling } from './settling.ts'

/** Rows of a batch; a read of a file holds about half as many. */
const batchRowsMax = 5000

/** Somebody may be writing a last line that has no end yet: it is waited for so long, and looked at so often. */
const lineWaitMs = 2_000
const lineLookMs = 100

export interface FileRunOptions {
  readonly topics: Readonly<Record<Format['name'], string>>
  readonly openLane: OpenLane
  readonly save: (checkpoint: FileCheckpoint, durability?: Durability) => Promise<void>
  readonly pace: Pace
  /** Rows go at the pace of their times, too. */
  readonly replay?: Replay | undefined
  /** Told of a wait for the next row, where it is a long one. */
  readonly onGap?: ((ms: number) => void) | undefined
  readonly nowMs: () => number
  /** Waits so long, or until the run is to stop. */
  readonly wait: (ms: number) => Promise<void>
  /** Of rows that name none. */
  readonly host: string
  /** Of times that have none; without it they are UTC. */
  readonly zone?: Zone | undefined
  /** Times are shifted: as the checkpoint says, else by so much, else so that the first one becomes what the function tells. */
  readonly shift?: number | (() => number) | undefined
  /** How much later the times of each further pass are. */
  readonly periodMs: number
  readonly onFormat: (format: Format['name']) => void
  readonly onBatch: (batch: Batch, topic: string) => void
  readonly signal: AbortSignal
  readonly tracer?: Tracer | undefined
}

/**
 * Sends the rest of the file. When the signal aborts it stops between two batches (of standard input, behind what has come of
 * it), settles those on their way, and returns.
 *
 * @throws SourceError for a file that cannot be read (further); what could be read of it is settled by then
 */
export async function runFile(file: OpenFile, start: FileCheckpoint, options: FileRunOptions): Promise<void> {
  const head = await readHeader(file)
  let { reader, text } = head
  try {
    const { format, header } = head
    options.onFormat(format.name)
    const ownMs = options.shift === undefined ? 0 : (start.shiftMs ?? options.shift)
    const span = start.pass === 0 ? start.span : noSpan
    const times = new TimeShift(start.pass * options.periodMs, span, options.zone, ownMs)
    const mapper = format.mapper(times, start.pass, options.host)
    if (start.offset > reader.nextOffset && !file.compressed && !format.needsAllRows) {
      await text.close()
      reader = new CsvReader(start)
      text = file.text(start.offset)
    }
    const batcher = new Batcher(reader, mapper, format.fields, header)
    while (batcher.skipTo(start.offset) === 'more') {
      if (!(await text.readInto(reader)))
        throw new SourceError(`${file.path} is shorter than what was read of it before`)
    }
    const topic = options.topics[format.name]
    const lane = await options.openLane(topic, start.producer, start, options.signal)
    try {
      await sendAll(file, start, { batcher, reader, text, times, lane, topic, format: format.name }, options)
    } finally {
      await lane.close()
    }
  } finally {
    await text.close()
  }
}

interface Way {
  readonly batcher: Batcher
  readonly reader: CsvReader
  readonly text: Text
  readonly times: TimeShift
  readonly lane: Lane
  readonly topic: string
  readonly format: Format['name']
}

async function sendAll(file: OpenFile, start: FileCheckpoint, way: Way, options: FileRunOptions): Promise<void> {
  const { batcher, reader, text, times, lane, topic } = way
  const { pace, replay, signal, nowMs, tracer } = options
  const waitMs = (): number => (signal.aborted ? 0 : (replay?.waitMs(times.latestMs, nowMs()) ?? 0))
  const isDue = replay === undefined ? undefined : () => waitMs() === 0
  replay?.begin()
  const rowsMax = Math.min(batchRowsMax, pace.sliceRows)
  const settling = new Settling(options.save)
  let checkpoint = start
  let ended = false
  const advance = (rows: number, dead: number, { offset, line }: Pick<Batch, 'offset' | 'line'>): FileCheckpoint => {
    checkpoint = {
      ...checkpoint,
      ...lane.numbers,
      format: way.format,
      offset,
      line,
      rows: checkpoint.rows + rows,
      dead: checkpoint.dead + dead,
      span: checkpoint.pass === 0 ? times.span : checkpoint.span,
    }
    return checkpoint
  }
  let trace = beginBatch(tracer)
  try {
    while (!signal.aborted || file.isInput === true) {
      const batch = batcher.take(rowsMax, isDue)
      if (batch !== undefined) {
        const { records, dead } = batch
        if (options.shift !== undefined && checkpoint.shiftMs === undefined && times.ownMs !== undefined) {
          // Known before anything is sent under it: after a kill the same rows must get the same times.
          await settling.flush()
          checkpoint = { ...checkpoint, shiftMs: times.ownMs }
          await options.save(checkpoint, 'synced')
        }
        const traceparent = trace?.produce()
        const done = Promise.all([
          records.length > 0 ? lane.send(records, traceparent) : undefined,
          dead.length > 0 ? lane.bury(dead, file.path) : undefined,
        ])
        trace?.endWith(done, batch, topic)
        options.onBatch(batch, topic)
        await settling.add(done, advance(records.length + dead.length, dead.length, batch))
        const pauseMs = pace.take(records.length + dead.length, nowMs())
        if (pauseMs > 0) await options.wait(pauseMs)
        trace = beginBatch(tracer)
      }
      if (batcher.holds) await untilDue(waitMs, options)
      else if (batch !== undefined) continue
      else if (ended) {
        const place = { offset: reader.nextOffset, line: reader.nextRowLine }
        await settling.add(Promise.resolve(), { ...advance(0, 0, place), atEnd: true })
        break
      } else if (!(await readOn(file, text, reader, options))) {
        // Half a line of what goes on is no row.
        if (signal.aborted) break
        reader.finish()
        ended = true
      }
    }
  } finally {
    await settling.flush()
  }
}

/** Reads on, at the end of the file only when a line has begun there and grows; whether there was more. */
async function readOn(file: OpenFile, text: Text, reader: CsvReader, options: FileRunOptions): Promise<boolean> {
  if (await text.readInto(reader)) return true
  if (file.compressed || !reader.holdsMore) return false
  for (let waitedMs = 0; waitedMs < lineWaitMs && !options.signal.aborted; waitedMs += lineLookMs) {
    await options.wait(lineLookMs)
    if (await text.readInto(reader)) return true
  }
  return false
}

/** A timer does not reach further than 24 days. */
const timerMsMax = 86_400_000

/** Longer waits are told of. */
const gapToldMs = 60_000

async function untilDue(waitMs: () => number, { wait, onGap }: FileRunOptions): Promise<void> {
  let leftMs = waitMs()
  if (leftMs > gapToldMs) onGap?.(leftMs)
  for (; leftMs > 0; leftMs = waitMs()) await wait(Math.min(leftMs, timerMsMax))
}

async function readHeader(
  file: OpenFile,
): Promise<{ readonly reader: CsvReader; readonly text: Text; readonly format: Format; readonly header: string }> {
  const reader = new CsvReader({ offset: 0, line: 1 })
  const text = file.text(0)
  try {
    for (;;) {
      const found = reader.next()
      if (found === 'row') break
      if (found === 'end') throw new SourceError(`${file.path} is empty: want CSV with a header line`)
      if (!(await text.readInto(reader))) reader.finish()
    }
    if (reader.fault !== undefined) throw new SourceError(`${file.path} has no header line: ${reader.fault}`)
    if (reader.fieldCount > fieldsMax)
      throw new SourceError(`${file.path} has a header of ${reader.fieldCount} columns: want at most ${fieldsMax}`)
    const columns = Array.from({ length: reader.fieldCount }, (_, field) => reader.text(field))
    const format = formatOf(columns)
    if ('refused' in format) throw new SourceError(`${file.path}: ${format.refused}`)
    return { reader, text, format, header: reader.rowText(reader.rowEnd - reader.rowStart) }
  } catch (error) {
    await text.close()
    throw error
  }
}
