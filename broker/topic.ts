/** A topic on this broker: its logs, its groups, and which log a record goes to. */

import { deadSuffix, partitionOfKey, type Ordinal, type Partition } from '#wire/ids'

import type { Disk } from './disk/disk.ts'
import { Groups } from './groups/groups.ts'
import { Log } from './log/log.ts'
import type { LogOptions } from './log/types.ts'
import type { ChunkRing } from './log/ring.ts'
import type { TopicOptions } from './options.ts'
import { parallel } from './parallel.ts'

/** What all topics of a broker share. */
export interface TopicContext {
  readonly disk: Disk
  readonly broker: Ordinal
  readonly ring: ChunkRing
  readonly segmentBytesMax: number
  readonly queueRecordsMax: number
  readonly reserveRecords: number
  /** Resolves when what has come in this turn of the event loop is appended. */
  readonly turn: (() => Promise<void>) | undefined
  /** How often a record is sent in a group; `undefined` leaves it to its mode. */
  readonly attemptsMax: number | undefined
  /** Told when a log or a journal cannot be trusted any more: the process should end. */
  onBroken(error: Error): void
  /** 16 hexadecimal digits that were never given before. */
  newLogId(): string
  /** Told, in one line, of what an operator should know. */
  report(problem: string): void
}

/**
 * Logs that are opened or closed at one time: as many as a broker has threads for files. Of 500 logs, in one run each, 8 at a
 * time took a third of the time that one at a time took to make them, a quarter to close and some 0.6 to open sealed ones; 32 at
 * a time gained nothing more, and each log that a crash left needs some megabytes while it is read.
 */
const logsAtOnce = 16

/** Of a topic of dead letters: what is acknowledged in it was dealt with. Nobody reads in it, and it is never forgotten. */
export const deskGroup = 'penstock-desk'

/** Who reads a topic, and must know when it changes. */
export interface TopicReader {
  /** Logs that came later: to be read from their first record. Called before any group has them. */
  grown(logs: readonly Log[]): void
  /** The topic closes: nothing can be read any more. */
  closing(): void
}

export class Topic {
  readonly name: string
  /** By group: records that were removed for their age, and that it had not acknowledged; since the start. */
  readonly lost = new Map<string, number>()
  /** By group: records that became dead letters because they were sent often enough; since the start. */
  readonly givenUp = new Map<string, number>()
  readonly groups: Groups
  #options: TopicOptions
  readonly #logs: Log[]
  readonly #context: TopicContext
  readonly #folder: string
  readonly #readers = new Set<TopicReader>()
  /** One for all logs. */
  readonly #wake = (): void => this.groups.wake()
  #turn = 0
  #closed = false

  /** Opens the topic in a folder with its logs and groups, or makes it. */
  static async open(context: TopicContext, folder: string, name: string, options: TopicOptions): Promise<Topic> {
    const logs = await openLogs(context, folder, name, options, 0)
    const topic = new Topic(context, folder, name, options, logs)
    await topic.groups.load()
    return topic
  }

  private constructor(context: TopicContext, folder: string, name: string, options: TopicOptions, logs: Log[]) {
    this.#context = context
    this.#folder = folder
    this.name = name
    this.#options = options
    this.#logs = logs
    const { disk, broker, attemptsMax } = context
    this.groups = new Groups({
      topic: name,
      folder,
      disk,
      broker,
      durability: options.durability,
      attemptsMax,
      logs,
      newLogId: () => context.newLogId(),
      onBroken: (error) => context.onBroken(error),
      report: (text) => context.report(text),
    })
    for (const log of logs) this.#watch(log)
  }

  get options(): TopicOptions {
    return this.#options
  }

  get logs(): readonly Log[] {
    return this.#logs
  }

  /** It is being opened anew, or the broker stops: nothing may be written or read by it any more. */
  get isClosed(): boolean {
    return this.#closed
  }

  get isDead(): boolean {
    return this.name.endsWith(deadSuffix)
  }

  /** The log for a record: of the partition asked for, else by the key, else each in turn. */
  logFor(partition: number | undefined, key: string | undefined): Log | undefined {
    if (partition !== undefined) return this.#logs[partition]
    if (key !== undefined) return this.#logs[partitionOfKey(key, this.#logs.length)]
    this.#turn = (this.#turn + 1) % this.#logs.length
    return this.#logs[this.#turn]
  }

  /** Opens the logs that are missing for so many partitions; they are the topic's once {@link change} has them. */
  open(partitions: number): Promise<Log[]> {
    const options = { ...this.#options, partitions }
    return openLogs(this.#context, this.#folder, this.name, options, this.#logs.length)
  }

  /** Takes over other options (not another durability) and the logs that were opened for them. */
  change(options: TopicOptions, added: readonly Log[], nowMs: number): void {
    this.#options = options
    if (added.length === 0) return
    for (const log of added) {
      this.#logs.push(log)
      this.#watch(log)
    }
    for (const reader of this.#readers) reader.grown(added)
    this.groups.grow(added, nowMs)
  }

  /** Tells a reader of changes. Returns what ends it. */
  watch(reader: TopicReader): () => void {
    this.#readers.add(reader)
    return () => this.#readers.delete(reader)
  }

  /** Notes what a group has lost. */
  count(group: string, records: number): void {
    this.lost.set(group, (this.lost.get(group) ?? 0) + records)
  }

  /** Cuts the readers, writes what is not written, and closes the files. */
  async close(): Promise<void> {
    this.#closed = true
    for (const reader of this.#readers) reader.closing()
    await this.groups.close()
    await closeLogs(this.#logs)
  }

  #watch(log: Log): void {
    log.onVisible(this.#wake)
  }
}

/** Opens the logs of the partitions from one on: all of them, or none. */
async function openLogs(
  context: TopicContext,
  folder: string,
  topic: string,
  { partitions, durability }: TopicOptions,
  from: number,
): Promise<Log[]> {
  const { disk, broker, ring, segmentBytesMax, queueRecordsMax, reserveRecords, turn } = context
  const options: LogOptions = {
    durability,
    segmentBytesMax,
    queueRecordsMax,
    reserveRecords,
    turn,
    onBroken: (error) => context.onBroken(error),
  }
  const report = (text: string): void => context.report(text)
  const opened: Log[] = []
  const missing = Array.from({ length: Math.max(0, partitions - from) }, (_, place) => (from + place) as Partition)
  try {
    return await parallel(missing, logsAtOnce, async (partition) => {
      const head = { logId: context.newLogId(), topic, broker, partition }
      const path = `${folder}/partition-${partition}`
      const log = await Log.open(disk, path, head, options, ring, report)
      opened.push(log)
      return log
    })
  } catch (error) {
    await closeLogs(opened)
    throw error
  }
}

/** Closes all of them, also when one fails; rejects with the first error then. */
export async function closeLogs(logs: readonly Log[]): Promise<void> {
  const failures: unknown[] = []
  await parallel(logs, logsAtOnce, (log) => log.close().catch((error: unknown) => failures.push(error)))
  if (failures.length > 0) throw failures[0]
}
