/**
 * The durable state of one group: a file in the format of the log, one record a change, rewritten when it has grown.
 *
 *     <topic>/groups/<name>.log
 *     id: 0/0/17
 *     data: {"logs":{"3":{"floor":1234,"acknowledged":[[1240,1250]]}}}      with "mode":"shared" where that is the group's
 *
 * An acknowledgement is answered after its record is as durable as the topic says. A record tells what is new: floors only rise,
 * and ranges are added. After a seek it says `"anew":true`, and stands in the place of all before it of these logs. So reading the
 * file from its start gives the state.
 */

import { formatLogHead, type LogHead } from '#wire/frames'
import type { Offset, Ordinal, Partition } from '#wire/ids'

import { CommitQueue } from '../log/commit.ts'
import { isDiskFull, replaceWhole, type Disk, type DiskFile } from '../disk/disk.ts'
import { frameBatch, framedBytesMax, type BatchMeta } from '../log/framing.ts'
import { Intervals } from './intervals.ts'
import type { Progress } from './progress.ts'
import type { Mode } from './sharing.ts'
import type { Durability, NotWritten } from '../log/types.ts'
import { readRecords, type Records } from '../log/records.ts'
import { ForeignSegment, scanSegment } from '../log/segment.ts'

/** A journal beyond this is rewritten as a snapshot. */
const journalBytesMax = 1 << 20

/** A group's progress in each log, by partition. */
export type GroupProgress = ReadonlyMap<Partition, Progress>

/** Whose journal it is. */
export interface JournalHead {
  readonly topic: string
  readonly group: string
  readonly broker: Ordinal
  readonly logId: string
  /** Of a group that is new; one that is known has its own. */
  readonly mode: Mode
}

interface StoredRecord {
  readonly mode?: Mode
  readonly anew?: boolean
  readonly logs?: Readonly<Record<string, StoredLog>>
}

interface StoredLog {
  readonly floor: number
  readonly acknowledged?: readonly (readonly [number, number])[]
}

/** What the records so far say of one log. */
class Told {
  floor = 0
  readonly #acknowledged = new Intervals()

  add({ floor, acknowledged = [] }: StoredLog): void {
    this.floor = Math.max(this.floor, floor)
    for (const [from, to] of acknowledged) this.#acknowledged.add(from, to)
  }

  get progress(): Progress {
    this.#acknowledged.removeBelow(this.floor)
    return { floor: this.floor as Offset, acknowledged: this.#acknowledged.ranges }
  }
}

export class Journal {
  readonly #disk: Disk
  readonly #folder: string
  readonly #head: Omit<LogHead, 'firstOffset'>
  readonly #snapshot: () => GroupProgress
  readonly #queue: CommitQueue<(outcome: 'durable' | NotWritten) => void>
  #file: DiskFile | undefined
  /** Of the file that is written. What an earlier run left is written anew first: its last sync may have failed. */
  #bytes = 0
  /** Numbers of records go up by two, so that a snapshot has one of its own before the records that wait behind it. */
  #issued = 0
  #written = 0
  #lastMs = 0
  #mode: Mode
  #closed = false

  /**
   * Opens the journal of a group.
   *
   * @param snapshot gives the whole state, when the file is rewritten
   * @param onBroken is told once, when the file cannot be trusted any more: the process should end
   * @returns the journal, and what it held; no progress when the group is new
   */
  static async open(
    disk: Disk,
    folder: string,
    head: JournalHead,
    durability: Durability,
    snapshot: () => GroupProgress,
    report: (problem: string) => void,
    onBroken: (error: Error) => void = () => {},
  ): Promise<{ readonly journal: Journal; readonly progress: GroupProgress }> {
    const journal = new Journal(disk, folder, head, durability, snapshot, report, onBroken)
    return { journal, progress: await journal.#recover(report) }
  }

  private constructor(
    disk: Disk,
    folder: string,
    head: JournalHead,
    durability: Durability,
    snapshot: () => GroupProgress,
    report: (problem: string) => void,
    onBroken: (error: Error) => void = () => {},
  ) {
    this.#disk = disk
    this.#folder = folder
    this.#head = { logId: head.logId, topic: head.group, broker: head.broker, partition: 0 as Partition }
    this.#snapshot = snapshot
    this.#mode = head.mode
    this.#queue = new CommitQueue(
      {
        place: () => this.#place(),
        committed: (entries, end) => {
          this.#bytes = end
          this.#written += 2 * entries.length
          for (const resolve of entries) resolve('durable')
        },
        failed: (entries, error) => {
          this.#issued = this.#written
          for (const resolve of entries) resolve(isDiskFull(error) ? 'disk_full' : 'not_writable')
        },
        broken: (error) => {
          report(`the journal ${this.#path} cannot be written any more: ${error.message}`)
          onBroken(error)
        },
      },
      durability === 'fsync' ? 'sync' : 'write',
    )
  }

  /** When something was noted last, in ms since 1970; 0 for never. */
  get lastMs(): number {
    return this.#lastMs
  }

  /** How the group shares its records: what the file said, or else what was asked for. */
  get mode(): Mode {
    return this.#mode
  }

  /**
   * Notes what is new of some logs; resolves when it is durable, or could not be written.
   *
   * @param how `anew`: it stands in the place of all that was noted of these logs
   */
  note(progress: GroupProgress, nowMs: number, how: 'added' | 'anew' = 'added'): Promise<'durable' | NotWritten> {
    if (this.#closed) return Promise.resolve('not_writable')
    this.#lastMs = Math.max(this.#lastMs, nowMs)
    const { promise, resolve } = Promise.withResolvers<'durable' | NotWritten>()
    this.#issued += 2
    this.#queue.push(this.#frame(this.#issued, progress, how), resolve)
    return promise
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#queue.idle()
    await this.#file?.close()
    this.#file = undefined
  }

  get #path(): string {
    return `${this.#folder}/${this.#head.topic}.log`
  }

  #frame(number: number, progress: GroupProgress, how: 'added' | 'anew'): Buffer {
    const logs: Record<string, StoredLog> = {}
    for (const [partition, { floor, acknowledged }] of progress) {
      logs[partition] = acknowledged.length === 0 ? { floor } : { floor, acknowledged }
    }
    const stored: StoredRecord = {
      ...(this.#mode === 'shared' ? { mode: 'shared' } : {}),
      ...(how === 'anew' ? { anew: true } : {}),
      logs,
    }
    const records = readRecords(Buffer.from(JSON.stringify(stored)), 'ndjson', Infinity) as Records
    const meta: BatchMeta = {
      firstOffset: number as Offset,
      appendMs: this.#lastMs,
      producer: undefined,
      sequence: undefined,
      fields: new Map(),
    }
    const target = Buffer.allocUnsafe(framedBytesMax(records, meta))
    const end = frameBatch(records, meta, this.#head, target, 0)
    return target.subarray(0, end)
  }

  async #place(): Promise<{ readonly file: DiskFile; readonly position: number }> {
    if (this.#bytes === 0 || this.#bytes > journalBytesMax) await this.#rewrite()
    this.#file ??= await this.#disk.open(this.#path)
    return { file: this.#file, position: this.#bytes }
  }

  /** Writes the state as it is now as a new file, and puts it in the place of the old one. */
  async #rewrite(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
    await this.#disk.makeFolder(this.#folder)
    const number = this.#written + 1
    const head = Buffer.from(formatLogHead({ ...this.#head, firstOffset: number as Offset }), 'latin1')
    const content = Buffer.concat([head, this.#frame(number, this.#snapshot(), 'anew')])
    await replaceWhole(this.#disk, this.#folder, `${this.#head.topic}.log`, content)
    this.#bytes = content.length
  }

  async #recover(report: (problem: string) => void): Promise<GroupProgress> {
    if (!(await this.#disk.list(this.#folder)).includes(`${this.#head.topic}.log`)) return new Map()
    const told = new Map<Partition, Told>()
    const expected = { ...this.#head, firstOffset: 0 as Offset }
    const file = await this.#disk.open(this.#path)
    const scan = scanSegment(this.#path, file, expected, (batch, bytes) => {
      this.#lastMs = Math.max(this.#lastMs, batch.head.appendMs)
      const event = bytes.toString('utf8', batch.events, batch.end)
      const record = JSON.parse(event.slice(event.indexOf('data: ') + 6)) as StoredRecord
      this.#mode = record.mode === 'shared' ? 'shared' : 'exclusive'
      for (const [name, log] of Object.entries(record.logs ?? {})) {
        const partition = Number(name) as Partition
        const before = record.anew === true ? undefined : told.get(partition)
        const after = before ?? new Told()
        after.add(log)
        told.set(partition, after)
      }
    })
    const scanned = await scan.finally(() => file.close())
    if (scanned === undefined) return new Map()
    const { topic: group, broker } = scanned.head
    if (group !== this.#head.topic || broker !== this.#head.broker) {
      throw new ForeignSegment(
        `${this.#path} belongs to the group ${group} of broker ${broker}: put the file back where it came from`,
      )
    }
    this.#issued = this.#written = scanned.next
    // Numbers go up by two: a jump is no damage, bytes that are no batch are.
    if (scanned.damaged.some(({ from, to }) => from < to))
      report(`${this.#path} is damaged: some records may be delivered again`)
    if (scanned.end < scanned.bytes) {
      report(`${this.#path} had a torn tail of ${scanned.bytes - scanned.end} bytes: it is left out`)
    }
    return new Map([...told].map(([partition, each]) => [partition, each.progress]))
  }
}
