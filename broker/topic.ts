/** A topic on this broker: its logs, its groups, and which log a record goes to. */

import { deadSuffix, partitionOfKey, type Offset, type Ordinal, type Partition } from '#wire/ids'

import type { Disk } from './disk/disk.ts'
import { Group } from './groups/group.ts'
import { Journal, type GroupProgress } from './groups/journal.ts'
import { Log } from './log/log.ts'
import type { LogOptions, NotWritten } from './log/types.ts'
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
  /** Told when a log or a journal cannot be trusted any more: the process should end. */
  onBroken(error: Error): void
  /** 16 hexadecimal digits that were never given before. */
  newLogId(): string
  /** Told, in one line, of what an operator should know. */
  report(problem: string): void
}

/** Where a group that is new begins. */
export type GroupStart = 'earliest' | 'latest'

interface GroupEntry {
  readonly group: Group
  readonly journal: Journal
  /** Logs whose progress is not durable yet. */
  readonly dirty: Set<Partition>
}

/**
 * Logs that are opened or closed at one time: as many as a broker has threads for files. Of 500 logs, in one run each, 8 at a
 * time took a third of the time that one at a time took to make them, a quarter to close and some 0.6 to open sealed ones; 32 at
 * a time gained nothing more, and each log that a crash left needs some megabytes while it is read.
 */
const logsAtOnce = 16

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
  #options: TopicOptions
  readonly #logs: Log[]
  readonly #context: TopicContext
  readonly #folder: string
  readonly #groups = new Map<string, GroupEntry>()
  readonly #opening = new Map<string, Promise<GroupEntry>>()
  readonly #readers = new Set<TopicReader>()
  #turn = 0
  #closed = false

  /** Opens the topic in a folder with its logs and groups, or makes it. */
  static async open(context: TopicContext, folder: string, name: string, options: TopicOptions): Promise<Topic> {
    const logs = await openLogs(context, folder, name, options, 0)
    const topic = new Topic(context, folder, name, options, logs)
    const journals = (await context.disk.list(`${folder}/groups`)).filter((file) => file.endsWith('.log'))
    // A killed process may have made one and not synced its name; clients are told of it again from here on.
    if (journals.length > 0 && options.durability === 'fsync') await context.disk.syncFolder(`${folder}/groups`)
    for (const file of journals) await topic.group(file.slice(0, -4), 'earliest', 0)
    return topic
  }

  private constructor(context: TopicContext, folder: string, name: string, options: TopicOptions, logs: Log[]) {
    this.#context = context
    this.#folder = folder
    this.name = name
    this.#options = options
    this.#logs = logs
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

  get groups(): readonly Group[] {
    return [...this.#groups.values()].map((entry) => entry.group)
  }

  groupNamed(name: string): Group | undefined {
    return this.#groups.get(name)?.group
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
    for (const { group } of this.#groups.values()) group.grow(added, nowMs)
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

  /** The group of that name; made, and made durable, when there is none. Not of a topic that is closed. */
  async group(name: string, start: GroupStart, nowMs: number): Promise<Group> {
    const known = this.#groups.get(name)
    if (known !== undefined) return known.group
    if (this.#closed) throw Object.assign(new Error(`${this.name} is closed`), { outcome: 'not_writable' })
    let opening = this.#opening.get(name)
    if (opening === undefined) {
      opening = this.#openGroup(name, start, nowMs).finally(() => this.#opening.delete(name))
      this.#opening.set(name, opening)
    }
    return (await opening).group
  }

  /** Makes the progress of a group durable: what was acknowledged in these logs, and what an earlier write left. */
  async settle(name: string, partitions: Iterable<Partition>, nowMs: number): Promise<'durable' | NotWritten> {
    const entry = this.#groups.get(name)
    if (entry === undefined) return 'durable'
    for (const partition of partitions) entry.dirty.add(partition)
    if (entry.dirty.size === 0) return 'durable'
    const noted = [...entry.dirty]
    const progress = new Map(noted.map((partition) => [partition, entry.group.progress(partition)]))
    entry.dirty.clear()
    const outcome = await entry.journal.note(progress, nowMs)
    if (outcome !== 'durable') for (const partition of noted) entry.dirty.add(partition)
    return outcome
  }

  /** Cuts the readers, writes what is not written, and closes the files. */
  async close(): Promise<void> {
    this.#closed = true
    for (const reader of this.#readers) reader.closing()
    await Promise.allSettled(this.#opening.values())
    for (const { journal } of this.#groups.values()) await journal.close()
    await closeLogs(this.#logs)
  }

  #watch(log: Log): void {
    log.onVisible(() => {
      for (const { group } of this.#groups.values()) group.wake()
    })
  }

  async #openGroup(name: string, start: GroupStart, nowMs: number): Promise<GroupEntry> {
    const { disk, broker } = this.#context
    const group = new Group(this.name, name)
    const head = { topic: this.name, group: name, broker, logId: this.#context.newLogId() }
    const { journal, progress } = await Journal.open(
      disk,
      `${this.#folder}/groups`,
      head,
      this.#options.durability,
      () => new Map(group.partitions.map((partition) => [partition, group.progress(partition)])),
      (text) => this.#context.report(text),
      (error) => this.#context.onBroken(error),
    )
    const logs = this.#logs.length
    for (const log of this.#logs) {
      const begin = startOf(log, progress, start)
      // A log that lost its end must not give new records offsets that are acknowledged already.
      log.moveUp(Math.max(begin.floor, ...begin.acknowledged.map(([, to]) => to)) as Offset)
      group.addLog(log, begin)
    }
    const entry: GroupEntry = { group, journal, dirty: new Set() }
    if (progress.size === 0) {
      // Where a group begins is part of its promise: a crash must not move it.
      const begun = new Map(group.partitions.map((partition) => [partition, group.progress(partition)]))
      const outcome = await journal.note(begun, nowMs)
      if (outcome !== 'durable') {
        await journal.close()
        throw Object.assign(new Error(`the group ${name} could not be written`), { outcome })
      }
    }
    // Logs that came while the journal was written.
    if (this.#logs.length > logs) group.grow(this.#logs.slice(logs), nowMs)
    // Not before: nobody may be answered from a group that a crash could still take back.
    this.#groups.set(name, entry)
    return entry
  }
}

function startOf(
  log: Log,
  progress: GroupProgress,
  start: GroupStart,
): { readonly floor: Offset; readonly acknowledged: readonly (readonly [number, number])[] } {
  const kept = progress.get(log.partition)
  if (kept !== undefined) return kept
  // A log that came after the group starts at its first record, whatever the group began with.
  const floor = progress.size === 0 && start === 'latest' ? log.end : log.first
  return { floor, acknowledged: [] }
}

/** Opens the logs of the partitions from one on: all of them, or none. */
async function openLogs(
  context: TopicContext,
  folder: string,
  topic: string,
  { partitions, durability }: TopicOptions,
  from: number,
): Promise<Log[]> {
  const { disk, broker, ring, segmentBytesMax, queueRecordsMax, reserveRecords } = context
  const options: LogOptions = {
    durability,
    segmentBytesMax,
    queueRecordsMax,
    reserveRecords,
    onBroken: (error) => context.onBroken(error),
  }
  const opened: Log[] = []
  const missing = Array.from({ length: Math.max(0, partitions - from) }, (_, place) => (from + place) as Partition)
  try {
    return await parallel(missing, logsAtOnce, async (partition) => {
      const head = { logId: context.newLogId(), topic, broker, partition }
      const path = `${folder}/partition-${partition}`
      const log = await Log.open(disk, path, head, options, ring, (text) => context.report(text))
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
