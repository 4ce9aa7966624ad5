/**
 * The engine behind the HTTP face: the topics of one broker on one disk. It has no HTTP, no timers and no clock of its
 * own, so that a test can run it against a disk that fails.
 */

import type { Clock } from '#lib/clock'
import { deadSuffix, isName, type Ordinal } from '#wire/ids'

import { readWhole, replaceWhole, type Disk } from './disk/disk.ts'
import { ForeignSegment } from './log/segment.ts'
import { ChunkRing } from './log/ring.ts'
import { Topic, type TopicContext, type TopicOptions } from './topic.ts'

/** The version of what stands in the data folder. */
export const dataFormat = 1

/** A write of the reservation, some milliseconds, once in so many records. */
const reserveRecords = 1_000_000
const queueRecordsMax = 100_000

/** What a broker is made of. */
export interface BrokerOptions {
  readonly ordinal: Ordinal
  readonly folder: string
  /** Topics to make, or to open, by name. */
  readonly topics: ReadonlyMap<string, TopicOptions>
  readonly memoryBytes: number
  readonly segmentBytesMax: number
  /** Records that a partition of durability `memory` keeps unwritten. */
  readonly queueRecordsMax?: number
  /** How far ahead a log that shows unsynced records reserves offsets. */
  readonly reserveRecords?: number
  /** Told when a log or a journal cannot be trusted any more: the process should end, and recover when it starts again. */
  onBroken?(error: Error): void
  /** 16 hexadecimal digits that were never given before. */
  newLogId(): string
  /** Told, in one line, of what an operator should know. */
  report(problem: string): void
}

interface StoredTopic {
  readonly partitions: number
  readonly durability: TopicOptions['durability']
}

export class Broker {
  readonly ordinal: Ordinal
  readonly #clock: Clock
  readonly #topics: ReadonlyMap<string, Topic>

  /**
   * Opens the data folder and all topics in it; recovers what a crash left.
   *
   * @throws ForeignSegment when the folder belongs to another broker, or was written by a newer version
   */
  static async open(clock: Clock, disk: Disk, options: BrokerOptions): Promise<Broker> {
    await disk.makeFolder(options.folder)
    await checkIdentity(disk, options)
    const context: TopicContext = {
      disk,
      broker: options.ordinal,
      ring: new ChunkRing(options.memoryBytes),
      segmentBytesMax: options.segmentBytesMax,
      queueRecordsMax: options.queueRecordsMax ?? queueRecordsMax,
      reserveRecords: options.reserveRecords ?? reserveRecords,
      onBroken: (error) => options.onBroken?.(error),
      newLogId: () => options.newLogId(),
      report: (problem) => options.report(problem),
    }
    const wanted = new Map(options.topics)
    for (const name of await disk.list(options.folder)) {
      // A topic that is on disk is served, also when the settings do not name it (any more).
      const stored = isName(name) ? await readStored(disk, `${options.folder}/${name}`) : undefined
      if (stored !== undefined) wanted.set(name, merged(name, stored, wanted.get(name), options))
    }
    const topics = new Map<string, Topic>()
    for (const [name, topicOptions] of wanted) {
      if (name.endsWith(deadSuffix)) continue
      topics.set(name, await openTopic(context, options.folder, name, topicOptions))
      const dead = { ...topicOptions, partitions: 1 }
      topics.set(name + deadSuffix, await openTopic(context, options.folder, name + deadSuffix, dead))
    }
    return new Broker(clock, options.ordinal, topics)
  }

  private constructor(clock: Clock, ordinal: Ordinal, topics: ReadonlyMap<string, Topic>) {
    this.#clock = clock
    this.ordinal = ordinal
    this.#topics = topics
  }

  get topics(): Iterable<Topic> {
    return this.#topics.values()
  }

  topic(name: string): Topic | undefined {
    return this.#topics.get(name)
  }

  get clock(): Clock {
    return this.#clock
  }

  /** Why the broker cannot take records any more, if it cannot. */
  get notWritable(): string | undefined {
    for (const topic of this.topics) {
      for (const log of topic.logs) {
        if (!log.writable) return `${topic.name} partition ${log.partition} cannot be written any more`
      }
    }
    return undefined
  }

  /** Ends the leases whose time has come. To be called at least every second. */
  tick(): void {
    const now = this.#clock.monotonicMs()
    for (const topic of this.topics) for (const group of topic.groups) group.tick(now)
  }

  /** Waits for what is being written and closes all files. */
  async close(): Promise<void> {
    for (const topic of this.topics) await topic.close()
  }
}

async function openTopic(context: TopicContext, root: string, name: string, options: TopicOptions): Promise<Topic> {
  const folder = `${root}/${name}`
  await context.disk.makeFolder(folder)
  const stored: StoredTopic = { partitions: options.partitions, durability: options.durability }
  const known = await readStored(context.disk, folder)
  if (known?.partitions !== stored.partitions || known.durability !== stored.durability) {
    await replaceWhole(context.disk, folder, 'topic.json', Buffer.from(`${JSON.stringify(stored)}\n`))
  }
  return Topic.open(context, folder, name, options)
}

async function readStored(disk: Disk, folder: string): Promise<StoredTopic | undefined> {
  if (!(await disk.list(folder)).includes('topic.json')) return undefined
  return JSON.parse((await readWhole(disk, `${folder}/topic.json`)).toString('utf8')) as StoredTopic
}

/** The number of partitions is the disk's, and can be raised; the durability is the settings'. */
function merged(
  name: string,
  stored: StoredTopic,
  wanted: TopicOptions | undefined,
  options: Pick<BrokerOptions, 'report'>,
): TopicOptions {
  if (wanted === undefined) return stored
  if (wanted.partitions < stored.partitions) {
    options.report(
      `${name} has ${stored.partitions} partitions on disk and ${wanted.partitions} in TOPICS: ` +
        `it keeps ${stored.partitions}, a topic's partitions cannot be lowered`,
    )
  }
  return { partitions: Math.max(stored.partitions, wanted.partitions), durability: wanted.durability }
}

async function checkIdentity(disk: Disk, { folder, ordinal }: BrokerOptions): Promise<void> {
  const names = await disk.list(folder)
  if (!names.includes('identity')) {
    const identity = { format: dataFormat, broker: ordinal }
    await replaceWhole(disk, folder, 'identity', Buffer.from(`${JSON.stringify(identity)}\n`))
    return
  }
  const found = JSON.parse((await readWhole(disk, `${folder}/identity`)).toString('utf8')) as {
    readonly format: number
    readonly broker: number
  }
  if (found.format !== dataFormat) {
    throw new ForeignSegment(
      `${folder} is of format ${found.format}, this program reads format ${dataFormat}: ` +
        'run the version of Penstock that wrote it',
    )
  }
  if (found.broker !== ordinal) {
    throw new ForeignSegment(
      `${folder} belongs to broker ${found.broker}, this is broker ${ordinal}: ` +
        'set BROKER_INDEX, or DATA_DIR, so that they fit',
    )
  }
}
