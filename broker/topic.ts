/** A topic on this broker: its logs, its groups, and which log a record goes to. */

import { deadSuffix, partitionOfKey, type Offset, type Ordinal, type Partition } from '#wire/ids'

import type { Disk } from './disk/disk.ts'
import { Group } from './groups/group.ts'
import { Journal, type GroupProgress } from './groups/journal.ts'
import { Log } from './log/log.ts'
import type { Durability, LogOptions, NotWritten } from './log/types.ts'
import type { ChunkRing } from './log/ring.ts'

/** What a topic is given when it is made. */
export interface TopicOptions {
  readonly partitions: number
  readonly durability: Durability
}

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

export class Topic {
  readonly name: string
  readonly options: TopicOptions
  readonly logs: readonly Log[]
  readonly #context: TopicContext
  readonly #folder: string
  readonly #groups = new Map<string, GroupEntry>()
  readonly #opening = new Map<string, Promise<GroupEntry>>()
  #turn = 0

  /** Opens the topic in a folder with its logs and groups, or makes it. */
  static async open(context: TopicContext, folder: string, name: string, options: TopicOptions): Promise<Topic> {
    const logOptions: LogOptions = {
      durability: options.durability,
      segmentBytesMax: context.segmentBytesMax,
      queueRecordsMax: context.queueRecordsMax,
      reserveRecords: context.reserveRecords,
      onBroken: (error) => context.onBroken(error),
    }
    const logs: Log[] = []
    for (let partition = 0; partition < options.partitions; partition++) {
      const head = {
        logId: context.newLogId(),
        topic: name,
        broker: context.broker,
        partition: partition as Partition,
      }
      const path = `${folder}/partition-${partition}`
      logs.push(await Log.open(context.disk, path, head, logOptions, context.ring, (text) => context.report(text)))
    }
    const topic = new Topic(context, folder, name, options, logs)
    for (const file of await context.disk.list(`${folder}/groups`)) {
      if (file.endsWith('.log')) await topic.group(file.slice(0, -4), 'earliest', 0)
    }
    return topic
  }

  private constructor(
    context: TopicContext,
    folder: string,
    name: string,
    options: TopicOptions,
    logs: readonly Log[],
  ) {
    this.#context = context
    this.#folder = folder
    this.name = name
    this.options = options
    this.logs = logs
    for (const log of logs) {
      log.onVisible(() => {
        for (const { group } of this.#groups.values()) group.wake()
      })
    }
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
    if (partition !== undefined) return this.logs[partition]
    if (key !== undefined) return this.logs[partitionOfKey(key, this.logs.length)]
    this.#turn = (this.#turn + 1) % this.logs.length
    return this.logs[this.#turn]
  }

  /** The group of that name; made, and made durable, when there is none. */
  async group(name: string, start: GroupStart, nowMs: number): Promise<Group> {
    const known = this.#groups.get(name)
    if (known !== undefined) return known.group
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

  async close(): Promise<void> {
    for (const { journal } of this.#groups.values()) await journal.close()
    for (const log of this.logs) await log.close()
  }

  async #openGroup(name: string, start: GroupStart, nowMs: number): Promise<GroupEntry> {
    const { disk, broker } = this.#context
    const group = new Group(this.name, name)
    const head = { topic: this.name, group: name, broker, logId: this.#context.newLogId() }
    const { journal, progress } = await Journal.open(
      disk,
      `${this.#folder}/groups`,
      head,
      this.options.durability,
      () => new Map(this.logs.map((log) => [log.partition, group.progress(log.partition)])),
      (text) => this.#context.report(text),
    )
    for (const log of this.logs) {
      const begin = startOf(log, progress, start)
      // A log that lost its end must not give new records offsets that are acknowledged already.
      log.moveUp(Math.max(begin.floor, ...begin.acknowledged.map(([, to]) => to)) as Offset)
      group.addLog(log, begin)
    }
    const entry: GroupEntry = { group, journal, dirty: new Set() }
    this.#groups.set(name, entry)
    if (progress.size === 0) {
      // Where a group begins is part of its promise: a crash must not move it.
      const begun = new Map(this.logs.map((log) => [log.partition, group.progress(log.partition)]))
      const outcome = await journal.note(begun, nowMs)
      if (outcome !== 'durable') {
        this.#groups.delete(name)
        throw Object.assign(new Error(`the group ${name} could not be written`), { outcome })
      }
    }
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
