/**
 * The engine behind the HTTP face: the topics of one broker on one disk. It has no HTTP, no timers and no clock of its
 * own, so that a test can run it against a disk that fails.
 */

import type { Clock } from '#lib/clock'
import { deadSuffix, partitionsMax, type Ordinal } from '#wire/ids'

import { readWhole, replaceWhole, type Disk } from './disk/disk.ts'
import { DiskFloor } from './floor.ts'
import { GiveUp } from './giveup.ts'
import { ForeignSegment } from './log/segment.ts'
import { ChunkRing } from './log/ring.ts'
import type { GivenOptions } from './options.ts'
import { Remover } from './remover.ts'
import { deskGroup, type Topic, type TopicContext } from './topic.ts'
import { Topics, type TopicChange } from './topics.ts'

/** The version of what stands in the data folder. */
export const dataFormat = 1

/** A write of the reservation, some milliseconds, once in so many records. */
const reserveRecords = 1_000_000
const queueRecordsMax = 100_000

/** What a broker is made of. */
export interface BrokerOptions {
  readonly ordinal: Ordinal
  readonly folder: string
  /** Topics to make, or to open, by name, and what is said of them. */
  readonly topics: ReadonlyMap<string, GivenOptions>
  /** Partitions of a topic that nobody said it of; 4. */
  readonly partitionsDefault?: number
  /** How many a topic may have at most; 10,000. */
  readonly partitionsMax?: number
  readonly memoryBytes: number
  readonly segmentBytesMax: number
  /** Records that a partition of durability `memory` keeps unwritten. */
  readonly queueRecordsMax?: number
  /** How far ahead a log that shows unsynced records reserves offsets. */
  readonly reserveRecords?: number
  /** Resolves when what has come in this turn of the event loop is appended, so that it makes one write. */
  readonly turn?: () => Promise<void>
  /** Free bytes of the disk below which nothing is produced; by default made of its size. */
  readonly diskFloorBytes?: number | undefined
  /** How often a record is sent before it becomes a dead letter; 5 in shared groups, and for ever in exclusive ones. */
  readonly attemptsMax?: number | undefined
  /** How long nobody may read in a group before it is forgotten, in ms; Infinity. */
  readonly groupExpiryMs?: number
  /** Told of records, by their ids, that were sent often enough and are in the dead letters now. */
  onGivenUp?(topic: string, group: string, origins: readonly string[]): void
  /** Told of records that were removed for their age and that a group had not acknowledged. */
  onLost?(topic: string, group: string, records: number): void
  /** Told when a log or a journal cannot be trusted any more: the process should end, and recover when it starts again. */
  onBroken?(error: Error): void
  /** 16 hexadecimal digits that were never given before. */
  newLogId(): string
  /** Told, in one line, of what an operator should know. */
  report(problem: string): void
}

export class Broker {
  readonly ordinal: Ordinal
  readonly #clock: Clock
  readonly #topics: Topics
  readonly #floor: DiskFloor
  readonly #remover: Remover
  readonly #giveUp: GiveUp
  readonly #groupExpiryMs: number
  readonly #report: (problem: string) => void
  readonly #disk: Disk
  readonly #folder: string
  #draining: boolean

  /**
   * Opens the data folder and all topics in it; recovers what a crash left.
   *
   * @throws ForeignSegment when the folder belongs to another broker, or was written by a newer version
   */
  static async open(clock: Clock, disk: Disk, options: BrokerOptions): Promise<Broker> {
    await disk.makeFolder(options.folder)
    const { draining } = await checkIdentity(disk, options)
    const context: TopicContext = {
      disk,
      broker: options.ordinal,
      ring: new ChunkRing(options.memoryBytes),
      segmentBytesMax: options.segmentBytesMax,
      queueRecordsMax: options.queueRecordsMax ?? queueRecordsMax,
      reserveRecords: options.reserveRecords ?? reserveRecords,
      turn: options.turn,
      attemptsMax: options.attemptsMax,
      onBroken: (error) => options.onBroken?.(error),
      newLogId: () => options.newLogId(),
      report: (problem) => options.report(problem),
    }
    const topics = await Topics.open(context, options.folder, options.topics, {
      partitionsDefault: options.partitionsDefault ?? 4,
      partitionsMax: options.partitionsMax ?? partitionsMax,
    })
    const floor = new DiskFloor(disk, options.folder, options.diskFloorBytes, (text) => options.report(text))
    await floor.measure()
    return new Broker(clock, disk, topics, floor, options, draining === true)
  }

  private constructor(
    clock: Clock,
    disk: Disk,
    topics: Topics,
    floor: DiskFloor,
    options: BrokerOptions,
    draining: boolean,
  ) {
    this.#clock = clock
    this.#disk = disk
    this.#folder = options.folder
    this.#draining = draining
    this.ordinal = options.ordinal
    this.#topics = topics
    this.#floor = floor
    this.#remover = new Remover(
      (topic, group, records) => options.onLost?.(topic, group, records),
      (problem) => options.report(problem),
    )
    this.#giveUp = new GiveUp(
      clock,
      floor,
      (topic, group, origins) => options.onGivenUp?.(topic, group, origins),
      (problem) => options.report(problem),
    )
    this.#groupExpiryMs = options.groupExpiryMs ?? Infinity
    this.#report = (problem) => options.report(problem)
    for (const topic of topics.all) topic.groups.restore(this.#groupExpiryMs, clock.wallMs(), clock.monotonicMs())
  }

  get topics(): Iterable<Topic> {
    return this.#topics.all
  }

  topic(name: string): Topic | undefined {
    return this.#topics.named(name)
  }

  /** Makes a topic; see {@link Topics.create}. */
  createTopic(name: string, given: GivenOptions): Promise<TopicChange> {
    return this.#topics.create(name, given, this.#clock.monotonicMs())
  }

  /** Changes a topic; see {@link Topics.alter}. */
  alterTopic(name: string, given: GivenOptions): Promise<TopicChange> {
    return this.#topics.alter(name, given, this.#clock.monotonicMs())
  }

  /** Whether the broker is being emptied: it takes no records, and serves those it has. */
  get draining(): boolean {
    return this.#draining
  }

  /**
   * Begins to empty the broker, or ends that. Kept on disk, so that every proxy hears of it, also after a restart. Rejects with
   * the disk's error.
   */
  drain(draining: boolean): Promise<void> {
    return this.#topics.exclusively(async () => {
      if (draining === this.#draining) return
      // From here on nothing is taken: who is answered that it drains may count what is left.
      if (draining) this.#draining = true
      try {
        await writeIdentity(this.#disk, this.#folder, { format: dataFormat, broker: this.ordinal, draining })
      } catch (error) {
        this.#draining = !draining
        throw error
      }
      this.#draining = draining
    })
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
    return this.#floor.reached
  }

  /** How much room there is on the disk, and how much there must be. */
  get floor(): DiskFloor {
    return this.#floor
  }

  /** How long nobody may read in a group before it is forgotten, in ms; Infinity for ever. */
  get groupExpiryMs(): number {
    return this.#groupExpiryMs
  }

  /** Ends the leases whose time has come, and gives up what was sent often enough. To be called at least every second. */
  tick(): void {
    const now = this.#clock.monotonicMs()
    for (const topic of this.topics) {
      for (const group of topic.groups.all) group.tick(now)
      if (!topic.isDead) this.#giveUp.tend(topic, this.topic(topic.name + deadSuffix))
    }
  }

  /** Looks at the disk, and removes what need not be kept. To be called every second or so. */
  tend(): Promise<void> {
    return this.#topics.exclusively(async () => {
      await this.#floor.measure()
      for (const topic of this.topics) {
        const wallMs = this.#clock.wallMs()
        await this.#remover.tend(topic, wallMs, this.#floor.reached !== undefined)
        const isKept = (name: string): boolean => topic.isDead && name === deskGroup
        const monotonicMs = this.#clock.monotonicMs()
        for (const name of await topic.groups.expire(this.#groupExpiryMs, wallMs, monotonicMs, isKept)) {
          this.#report(`${topic.name}: group ${name} is forgotten: nobody has read in it for GROUP_EXPIRY`)
        }
      }
    })
  }

  /** Waits for what is being written and closes all files. */
  async close(): Promise<void> {
    await this.#topics.close()
  }
}

/** What the data folder says of itself, in `identity`. */
interface Identity {
  readonly format: number
  readonly broker: number
  readonly draining?: boolean
}

function writeIdentity(disk: Disk, folder: string, identity: Identity): Promise<void> {
  return replaceWhole(disk, folder, 'identity', Buffer.from(`${JSON.stringify(identity)}\n`))
}

async function checkIdentity(disk: Disk, { folder, ordinal }: BrokerOptions): Promise<Identity> {
  const names = await disk.list(folder)
  if (!names.includes('identity')) {
    const identity = { format: dataFormat, broker: ordinal }
    await writeIdentity(disk, folder, identity)
    return identity
  }
  const found = JSON.parse((await readWhole(disk, `${folder}/identity`)).toString('utf8')) as Identity
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
  return found
}
