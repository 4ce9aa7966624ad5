/** A machine with a broker on it, its clients, and what goes wrong: one seed is one history of it. */

import { manualClock, type ManualClock } from '#lib/clock'
import { parseId, type Offset, type Ordinal, type Partition, type RecordId } from '#wire/ids'

import { Broker, type BrokerOptions } from '../broker.ts'
import type { Break, Focus } from './breaks.ts'
import { Consumer } from './consumer.ts'
import { noFaults, SimulatedDisk, type FaultRates } from './disk.ts'
import type { Group } from '../groups/group.ts'
import type { Mode } from '../groups/sharing.ts'
import { GroupModel } from './groups.ts'
import { Life } from './life.ts'
import type { Log } from '../log/log.ts'
import { lettersIn, look } from './look.ts'
import { LogModel, type Ending } from './model.ts'
import { Platter } from './platter.ts'
import { Random } from './random.ts'
import { Reader } from './reader.ts'
import { Schedule } from './schedule.ts'
import type { TopicOptions } from '../options.ts'
import type { Topic } from '../topic.ts'
import { Writer } from './writer.ts'

const folder = 'data/broker-0'
const groupNames = ['g', 'h']

/** What was wrong, and when. */
export interface Violation {
  readonly step: number
  readonly expected: string
  readonly found: string
}

export class World {
  readonly random: Random
  readonly schedule: Schedule
  readonly clock: ManualClock = manualClock(1_700_000_000_000)
  readonly violations: Violation[] = []
  /** No fault and no crash comes any more, and nothing new is written. */
  isResting = false
  /** Bytes of the texts of records: large ones drive the ring of memory round. */
  readonly textBytes: readonly number[]
  step = 0
  crashes = 0
  life: Life | undefined
  readonly #platter: Platter
  readonly #planted: Break
  readonly #rates: FaultRates
  readonly #options: BrokerOptions
  readonly #models = new Map<string, LogModel>()
  readonly #groups = new Map<string, GroupModel>()
  readonly #modes = new Map<string, Mode>()
  readonly #writers: Writer[] = []
  readonly #readers: Reader[] = []
  readonly #consumers: Consumer[] = []
  readonly #say: (line: string) => void
  #disk: SimulatedDisk
  #records = 0
  #logIds = 0
  #failedStarts = 0
  #isBroken = false

  /** @param say is told, in one line, of each thing that happens */
  constructor(seed: number, planted: Break, say: (line: string) => void, focus: Focus = 'all') {
    this.random = new Random(seed)
    this.schedule = new Schedule(this.random)
    this.#platter = new Platter(this.random)
    this.#planted = planted
    this.#say = say
    this.#rates = this.#drawRates()
    this.#disk = this.#newDisk()
    const topics = this.#drawTopics()
    const isLarge = this.random.chance(0.15)
    this.textBytes = isLarge ? [3, 5000, 20_000] : [0, 3, 40, 200]
    this.#options = {
      ordinal: 0 as Ordinal,
      folder,
      topics,
      memoryBytes: 128 << 10,
      segmentBytesMax: isLarge ? 50_000 : this.random.pick([300, 1000, 4000]),
      queueRecordsMax: this.random.pick([3, 20, 1000]),
      reserveRecords: this.random.pick([5, 50, 1000]),
      attemptsMax: this.random.pick([undefined, undefined, 2, 3]),
      onGivenUp: (topic, group, origins) => this.#givenUp(topic, group, origins),
      newLogId: () => String(++this.#logIds).padStart(16, '0'),
      report: (problem) => this.#say(`broker: ${problem}`),
    }
    for (const [topic, { partitions, durability }] of topics) {
      for (let partition = 0; partition < partitions; partition++) {
        const model = new LogModel(topic, partition, durability, this.complain)
        this.#models.set(model.name, model)
        for (const group of groupNames)
          this.#groups.set(`${group} ${model.name}`, new GroupModel(model, group, this.complain))
        this.#writers.push(new Writer(this, topic, partition, 'numbered'))
        this.#writers.push(new Writer(this, topic, partition, undefined))
      }
      this.#readers.push(new Reader(this, topic, `reader 1 of ${topic}`))
      if (this.random.chance(0.5)) this.#readers.push(new Reader(this, topic, `reader 2 of ${topic}`))
      const isFocus = focus === 'groups'
      for (const group of groupNames.slice(0, isFocus ? 2 : this.random.between(0, 2))) {
        this.#modes.set(`${group} of ${topic}`, this.random.pick(['exclusive', 'exclusive', 'shared']))
        for (let at = this.random.between(1, isFocus ? 4 : 2); at > 0; at--) {
          this.#consumers.push(new Consumer(this, topic, group, `consumer-${at}-of-${group}-of-${topic}`))
        }
      }
    }
  }

  readonly complain = (expected: string, found: string): void => {
    this.#say(`WRONG: expected ${expected}; found ${found}`)
    this.violations.push({ step: this.step, expected, found })
  }

  newRecord(): number {
    return ++this.#records
  }

  model(topic: string, partition: number): LogModel {
    return this.#models.get(`${topic}/partition-${partition}`) as LogModel
  }

  group(topic: string, group: string, partition: number): GroupModel {
    return this.#groups.get(`${group} ${topic}/partition-${partition}`) as GroupModel
  }

  mode(topic: string, group: string): Mode {
    return this.#modes.get(`${group} of ${topic}`) ?? 'exclusive'
  }

  groupFound(topic: Topic, group: Group): void {
    for (const log of topic.logs) {
      // Retention may be at it: what a reader passed over is gone.
      this.model(topic.name, log.partition).begins(log.first)
      const model = this.group(topic.name, group.name, log.partition)
      model.found(group.progress(log.partition), log.end)
      model.told()
    }
  }

  /** Starts a broker. It is there some steps later, unless something comes between. */
  start(): void {
    this.#disk = this.#newDisk()
    this.#isBroken = false
    this.#say('start')
    const disk = this.#disk
    const handed = this.#planted.disk?.(disk) ?? disk
    Broker.open(this.clock, handed, this.#options).then(
      (broker) => this.#started(broker),
      (error: unknown) => this.#notStarted(disk, error as Error),
    )
  }

  /** Goes one step on. False when there is nothing that could go on. */
  go(): boolean {
    const step = this.schedule.draw()
    if (step === undefined) return false
    this.step++
    this.#say(step.label)
    step.run()
    if (this.random.chance(0.05)) this.#passTime()
    return true
  }

  /** What may happen besides: crashes, stops, a disk that fills up and is made room on. */
  mishap(): boolean {
    const { random } = this
    const { crashes } = this
    if (this.#rates.write > 0 && random.chance(0.01)) this.#platter.full = !this.#platter.full
    if (this.life !== undefined && !this.#isBroken) this.#isBroken = this.life.broker.notWritable !== undefined
    // A broker that cannot write ends itself.
    if (this.#isBroken && random.chance(0.1)) this.crash('kill')
    else if (random.chance(0.008)) this.crash(random.pick(['kill', 'power loss']))
    else if (this.life !== undefined && !this.life.isStopping) {
      const luck = random.between(0, 999)
      if (luck < 3) this.stop(this.life)
      else if (luck < 7) void this.#drop(this.life)
      else if (luck < 10) void this.#seek(this.life)
    }
    return crashes !== this.crashes
  }

  crash(ending: Exclude<Ending, 'stop'>): void {
    this.crashes++
    this.#end(ending)
    this.start()
  }

  /** Stops the broker as a supervisor does, and starts it again. */
  stop(life: Life, next: () => void = () => this.start()): void {
    life.isStopping = true
    this.#say('stop')
    for (const stream of life.streams) stream.cut('stopping', 'the broker is stopping')
    this.#close(life, next).catch((error: unknown) => {
      this.#say(`not stopped: ${(error as Error).message}`)
      this.crash('kill')
    })
  }

  /** From here on nothing fails, so that all can come to its end. */
  rest(): void {
    this.isResting = true
    this.#platter.full = false
    this.#disk.rates = noFaults
    if (this.#isBroken || this.life?.broker.notWritable !== undefined) this.crash('kill')
  }

  get isAtRest(): boolean {
    return this.unrest() === undefined
  }

  /** Who has not come to the end yet. */
  unrest(): string | undefined {
    const { life } = this
    if (life === undefined || life.isStopping) return 'there is no broker'
    if (life.inFlight > 0) return `${life.inFlight} requests are not answered`
    if (this.#writers.some((writer) => !writer.isAtRest)) return 'a writer has something to send'
    if (this.#readers.some((reader) => !reader.isAtEnd(life))) return 'a reader is not at the end'
    for (const topic of life.broker.topics) {
      for (const group of topic.groups.all) {
        for (const log of topic.logs) {
          const { floor, acknowledged } = group.progress(log.partition)
          const state = `floor ${floor} of ${log.end}, acknowledged ${JSON.stringify(acknowledged)}`
          if (floor < log.end) return `${group.name} of ${topic.name}/partition-${log.partition}: ${state}`
        }
      }
    }
    return undefined
  }

  /** What must be true when all has come to its end. */
  async atRest(life: Life): Promise<void> {
    for (const topic of life.broker.topics) {
      if (topic.isDead) continue
      const letters = await this.#quietly(() => lettersIn(life.topic(`${topic.name}.dead`).logs[0] as Log))
      for (const group of topic.groups.all) {
        for (const { partition } of topic.logs) {
          const offsets = letters.filter((letter) => letter.group === group.name && letter.partition === partition)
          this.group(topic.name, group.name, partition).atRest(new Set(offsets.map(({ offset }) => offset)))
        }
      }
    }
  }

  /** Reads everything there is, and nothing comes between. */
  async look(life: Life, when: string): Promise<void> {
    await this.#quietly(async () => {
      for (const model of this.#models.values()) {
        await look(life.log(model.topic, model.partition), model, when, this.complain)
      }
    })
  }

  async #started(broker: Broker): Promise<void> {
    this.#failedStarts = 0
    this.#say('ready')
    const life = new Life(this, broker, (log) => this.#planted.log?.(log) ?? log)
    for (const model of this.#models.values()) {
      model.begins(life.log(model.topic, model.partition).first)
      for (const name of groupNames) {
        const group = life.topic(model.topic).groups.named(name)
        const known = this.group(model.topic, name, model.partition)
        const log = life.topic(model.topic).logs[model.partition]
        if (group === undefined) known.missing()
        else known.found(group.progress(model.partition as Partition), log?.end ?? 0)
      }
    }
    if (this.random.chance(0.5)) await this.look(life, 'after a start')
    this.life = life
    for (const client of [...this.#writers, ...this.#readers, ...this.#consumers]) {
      client.run(life).catch((error: unknown) => this.complain('no client fails', String((error as Error).stack)))
    }
  }

  #notStarted(disk: SimulatedDisk, error: Error): void {
    if (disk.failures === 0) this.complain('the broker starts', String(error.stack))
    else if (++this.#failedStarts > 100) this.complain('the broker starts some time', String(error.stack))
    else {
      this.#end('kill')
      this.start()
    }
  }

  /** Retention, that takes more than it should: what no group has acknowledged goes too. */
  async #drop(life: Life): Promise<void> {
    const model = this.random.pick([...this.#models.values()])
    const topic = life.topic(model.topic)
    const log = topic.logs[model.partition] as Log
    const before = this.random.between(log.first, log.end) as Offset
    this.#say(`drop before ${before} of ${model.name}, which begins at ${log.first} and ends at ${log.end}`)
    model.mayDrop(before)
    life.inFlight++
    try {
      if (this.random.chance(0.5)) await log.roll()
      await log.dropBefore(before)
    } catch (error) {
      this.#say(`not dropped: ${(error as Error).message}`)
    }
    life.inFlight--
    for (const group of topic.groups.all) group.removed(log.partition, log.first)
    model.begins(log.first)
  }

  /** Lets a group go on elsewhere. */
  async #seek(life: Life): Promise<void> {
    const model = this.random.pick([...this.#models.values()])
    const topic = life.topic(model.topic)
    const log = topic.logs[model.partition] as Log
    const group = topic.groups.named(this.random.pick(groupNames))
    const floor = this.random.between(log.first, log.end) as Offset
    if (group === undefined) return
    this.#say(`${group.name} of ${model.name} seeks ${floor}`)
    this.group(topic.name, group.name, log.partition).seeking(floor, log.end)
    life.inFlight++
    const floors = new Map([[log.partition, floor]])
    await topic.groups.seek(group.name, floors, this.clock.wallMs(), this.clock.monotonicMs())
    life.inFlight--
  }

  #givenUp(topic: string, group: string, origins: readonly string[]): void {
    for (const origin of origins) {
      const { partition, offset } = parseId(origin) as RecordId
      this.#say(`${group} of ${topic} gives up ${origin}`)
      this.group(topic, group, partition).givenUp(offset)
    }
  }

  /** Does something with the disk that nothing comes between, and that does not fail. */
  async #quietly<T>(act: () => Promise<T>): Promise<T> {
    const { rates } = this.#disk
    this.#disk.rates = noFaults
    this.#disk.isQuiet = true
    const result = await act()
    this.#disk.isQuiet = false
    this.#disk.rates = rates
    return result
  }

  async #close(life: Life, next: () => void): Promise<void> {
    while (life.inFlight > 0) await this.schedule.turn('stopping waits')
    const { failures } = this.#disk
    const isWell = life.broker.notWritable === undefined
    await life.broker.close()
    // A reader that is cut off in the middle of a read has its file open until that is answered.
    if (this.isResting && this.#disk.openFiles > 0) {
      this.complain('a stopped broker holds no file', `${this.#disk.openFiles} open`)
    }
    // A disk that fails then may take what only a stop would have kept; the broker says so and ends.
    this.#end(isWell && this.#disk.failures === failures ? 'stop' : 'kill')
    next()
  }

  #end(ending: Ending): void {
    this.#say(`END: ${ending}`)
    this.life = undefined
    this.#disk.isGone = true
    this.schedule.cut()
    if (ending === 'power loss') {
      this.#platter.losePower()
      this.#platter.full = false
    }
    for (const model of this.#models.values()) model.ended(ending)
    for (const group of this.#groups.values()) group.ended(ending)
  }

  #newDisk(): SimulatedDisk {
    // Who cannot start because of the disk tries again, and some time the disk is well.
    const isWell = this.isResting || this.#failedStarts > 2
    if (isWell) this.#platter.full = false
    return new SimulatedDisk(this.#platter, this.schedule, this.random, isWell ? noFaults : this.#rates)
  }

  #passTime(): void {
    this.life?.broker.tick()
    this.clock.advance(this.random.pick([1, 10, 100, 1000]))
    if (this.random.chance(0.1)) this.clock.setWall(this.clock.wallMs() + this.random.pick([-100_000, -5000, 5000]))
  }

  #drawRates(): FaultRates {
    if (this.random.chance(0.4)) return noFaults
    const rate = (): number => this.random.pick([0, 0.003, 0.02])
    return {
      write: this.random.pick([0, 0.01, 0.05]),
      sync: rate(),
      other: this.random.pick([0, 0, 0.003]),
      shortWrite: 0.05,
    }
  }

  #drawTopics(): Map<string, Pick<TopicOptions, 'partitions' | 'durability'>> {
    const topics = new Map<string, Pick<TopicOptions, 'partitions' | 'durability'>>()
    for (const durability of ['fsync', 'disk', 'memory'] as const) {
      if (topics.size > 0 ? this.random.chance(0.5) : durability !== 'memory' && this.random.chance(0.3)) continue
      topics.set(durability, { partitions: this.random.pick([1, 1, 2]), durability })
    }
    return topics
  }
}
