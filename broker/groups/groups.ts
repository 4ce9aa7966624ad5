/** The groups of one topic: opened from their journals, made, asked to remember, deleted, and forgotten when nobody comes. */

import type { Offset, Ordinal, Partition } from '#wire/ids'

import type { Disk } from '../disk/disk.ts'
import type { Log } from '../log/log.ts'
import type { Durability, NotWritten } from '../log/types.ts'
import { Group } from './group.ts'
import { Journal, type GroupProgress } from './journal.ts'
import type { Progress } from './progress.ts'
import type { Mode } from './sharing.ts'

/** Where a group that is new begins. */
export type GroupStart = 'earliest' | 'latest'

/** How a group begins that nobody knows yet. */
export interface NewGroup {
  readonly start: GroupStart
  readonly mode: Mode
}

/** What the groups of a topic need of it. */
export interface GroupsContext {
  readonly topic: string
  readonly folder: string
  readonly disk: Disk
  readonly broker: Ordinal
  readonly durability: Durability
  /** How often a record is sent; `undefined` is 5 in shared mode, and for ever in exclusive mode. */
  readonly attemptsMax: number | undefined
  /** The logs of the topic; they become more. */
  readonly logs: readonly Log[]
  newLogId(): string
  onBroken(error: Error): void
  report(problem: string): void
}

interface Entry {
  readonly group: Group
  readonly journal: Journal
  /** Logs of which something could not be written: all is to be written of them. */
  readonly dirty: Set<Partition>
  /** When somebody read in it last, on the monotonic clock; `undefined` before anybody looked. */
  activeMs: number | undefined
}

const sharedAttemptsMax = 5

/** A journal says at least so often that its group is in use, so that a restart knows how long it has not been. */
const touchMs = 3_600_000

/** After a start a group has so long at least: its consumers may need time to come back. */
const graceMs = 24 * 3_600_000

export class Groups {
  readonly #context: GroupsContext
  readonly #entries = new Map<string, Entry>()
  readonly #opening = new Map<string, Promise<Entry>>()
  readonly #deleting = new Map<string, Promise<void>>()
  #isClosed = false

  constructor(context: GroupsContext) {
    this.#context = context
  }

  /** Opens the groups that there are files of. */
  async load(): Promise<void> {
    const { disk, durability } = this.#context
    const journals = (await disk.list(this.#folder)).filter((file) => file.endsWith('.log'))
    // A killed process may have made one and not synced its name; clients are told of it again from here on.
    if (journals.length > 0 && durability === 'fsync') await disk.syncFolder(this.#folder)
    for (const file of journals) await this.open(file.slice(0, -4), { start: 'earliest', mode: 'exclusive' }, 0)
  }

  get all(): readonly Group[] {
    return [...this.#entries.values()].map(({ group }) => group)
  }

  named(name: string): Group | undefined {
    return this.#entries.get(name)?.group
  }

  /** The group of that name; made, and made durable, when there is none. Rejects with an `outcome` when that cannot be. */
  async open(name: string, begin: NewGroup, nowMs: number): Promise<Group> {
    // One that fails is told to who asked for it; its file says whether the group is still there.
    await this.#deleting.get(name)?.catch(() => {})
    const known = this.#entries.get(name)
    if (known !== undefined) return known.group
    if (this.#isClosed) throw notWritten('not_writable', `${this.#context.topic} is closed`)
    let opening = this.#opening.get(name)
    if (opening === undefined) {
      opening = this.#open(name, begin, nowMs).finally(() => this.#opening.delete(name))
      this.#opening.set(name, opening)
    }
    return (await opening).group
  }

  /** Makes the progress of a group durable: what was acknowledged in these logs, and what an earlier write left. */
  async settle(name: string, partitions: Iterable<Partition>, nowMs: number): Promise<'durable' | NotWritten> {
    const entry = this.#entries.get(name)
    if (entry === undefined) return 'durable'
    const progress = new Map<Partition, Progress>()
    for (const partition of new Set([...partitions, ...entry.dirty])) {
      const change = entry.group.takeChange(partition)
      progress.set(partition, entry.dirty.has(partition) ? entry.group.progress(partition) : change)
    }
    if (progress.size === 0) return 'durable'
    entry.dirty.clear()
    const outcome = await entry.journal.note(progress, nowMs)
    if (outcome !== 'durable') for (const partition of progress.keys()) entry.dirty.add(partition)
    return outcome
  }

  /**
   * Lets a group go on at other places; resolves when that is durable. Its consumers are dismissed. When it cannot be written
   * the group is where it was.
   */
  async seek(
    name: string,
    floors: ReadonlyMap<Partition, Offset>,
    nowMs: number,
    monotonicMs: number,
  ): Promise<'durable' | NotWritten> {
    const entry = this.#entries.get(name) as Entry
    const decide = entry.group.seek(floors, monotonicMs)
    const progress = new Map([...floors.keys()].map((partition) => [partition, entry.group.progress(partition)]))
    const outcome = await entry.journal.note(progress, nowMs, 'anew')
    decide(outcome === 'durable')
    return outcome
  }

  /** Deletes a group: nobody remembers what it has acknowledged. Resolves when no restart brings it back. */
  remove(name: string): Promise<void> {
    const entry = this.#entries.get(name)
    if (entry === undefined) return this.#deleting.get(name) ?? Promise.resolve()
    this.#entries.delete(name)
    const deleting = this.#delete(entry, name).finally(() => this.#deleting.delete(name))
    this.#deleting.set(name, deleting)
    return deleting
  }

  /** How long nobody has read in a group, in ms. */
  idleMs(name: string, monotonicMs: number): number {
    return monotonicMs - (this.#entries.get(name)?.activeMs ?? monotonicMs)
  }

  /** Notes that somebody reads in a group without being connected. */
  touch(name: string, monotonicMs: number): void {
    const entry = this.#entries.get(name)
    if (entry !== undefined) entry.activeMs = monotonicMs
  }

  /**
   * Forgets the groups that nobody has read in for so long. To be called every second or so.
   *
   * @param isKept groups that are never forgotten
   * @returns the names of those that are gone
   */
  async expire(
    expiryMs: number,
    nowMs: number,
    monotonicMs: number,
    isKept: (name: string) => boolean = () => false,
  ): Promise<string[]> {
    const gone: string[] = []
    for (const [name, entry] of this.#entries) {
      if (entry.activeMs === undefined || entry.group.members.size > 0) entry.activeMs = monotonicMs
      const idleMs = monotonicMs - entry.activeMs
      if (idleMs < touchMs && nowMs - entry.journal.lastMs > touchMs) await entry.journal.note(new Map(), nowMs)
      if (idleMs < expiryMs || isKept(name)) continue
      await this.remove(name)
      gone.push(name)
    }
    return gone
  }

  /**
   * What a restart knows of the time before it: when somebody read in each group last.
   *
   * @param expiryMs no group is so idle that it would not have a day to be found again
   */
  restore(expiryMs: number, nowMs: number, monotonicMs: number): void {
    for (const entry of this.#entries.values()) {
      const idleMs = Math.max(0, nowMs - entry.journal.lastMs)
      entry.activeMs = monotonicMs - Math.min(idleMs, Math.max(0, expiryMs - graceMs))
    }
  }

  /** Takes in logs that came later. */
  grow(added: readonly Log[], monotonicMs: number): void {
    for (const { group } of this.#entries.values()) group.grow(added, monotonicMs)
  }

  /** There is something new in a log. */
  wake(): void {
    for (const { group } of this.#entries.values()) group.wake()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.allSettled([...this.#opening.values(), ...this.#deleting.values()])
    for (const { journal } of this.#entries.values()) await journal.close()
  }

  get #folder(): string {
    return `${this.#context.folder}/groups`
  }

  async #open(name: string, begin: NewGroup, nowMs: number): Promise<Entry> {
    const { topic, disk, broker, durability, logs } = this.#context
    let group: Group | undefined
    const snapshot = (): GroupProgress =>
      new Map(group?.partitions.map((each) => [each, group?.progress(each) as never]))
    const { journal, progress } = await Journal.open(
      disk,
      this.#folder,
      { topic, group: name, broker, logId: this.#context.newLogId(), mode: begin.mode },
      durability,
      snapshot,
      (text) => this.#context.report(text),
      (error) => this.#context.onBroken(error),
    )
    group = this.#makeGroup(name, journal.mode)
    const count = logs.length
    for (const log of logs) {
      const start = startOf(log, progress, begin.start)
      // A log that lost its end must not give new records offsets that are acknowledged already.
      log.moveUp(Math.max(start.floor, ...start.acknowledged.map(([, to]) => to)) as Offset)
      group.addLog(log, start)
    }
    if (progress.size === 0) {
      // Where a group begins is part of its promise: a crash must not move it.
      const outcome = await journal.note(snapshot(), nowMs)
      if (outcome !== 'durable') {
        await journal.close()
        throw notWritten(outcome, `the group ${name} could not be written`)
      }
    }
    // Logs that came while the journal was written.
    if (logs.length > count) group.grow(logs.slice(count), nowMs)
    const entry: Entry = { group, journal, dirty: new Set(), activeMs: undefined }
    // Not before: nobody may be answered from a group that a crash could still take back.
    this.#entries.set(name, entry)
    return entry
  }

  #makeGroup(name: string, mode: Mode): Group {
    const attemptsMax = this.#context.attemptsMax ?? (mode === 'shared' ? sharedAttemptsMax : Infinity)
    return new Group(this.#context.topic, name, { mode, attemptsMax })
  }

  async #delete({ journal }: Entry, name: string): Promise<void> {
    await journal.close()
    await this.#context.disk.remove(`${this.#folder}/${name}.log`)
    await this.#context.disk.syncFolder(this.#folder)
  }
}

function notWritten(outcome: NotWritten, message: string): Error {
  return Object.assign(new Error(message), { outcome })
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
