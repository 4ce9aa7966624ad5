/**
 * Records that were sent as often as they may be: each is written to the dead letters of its topic, and then counts as
 * acknowledged. A crash between the two leaves a letter whose record is sent again; it gets no second one.
 */

import type { Clock } from '#lib/clock'
import { formatId, type Offset } from '#wire/ids'

import type { DiskFloor } from './floor.ts'
import type { Group, Hopeless } from './groups/group.ts'
import type { Log } from './log/log.ts'
import { readRecords, type Records } from './log/records.ts'
import { textsOf } from './log/texts.ts'
import type { Topic } from './topic.ts'

/** So many are written at one time. */
const lettersAtOnce = 100

const readBytes = 256 * 1024

/** A letter as it stands in the dead letters. */
interface Letter {
  readonly reason: string
  readonly origin: string
  readonly group: string
  readonly attempts: number
  readonly row: string
}

/** Told of records, by their ids, that are in the dead letters and count as acknowledged from now on. */
export type OnGivenUp = (topic: string, group: string, origins: readonly string[]) => void

export class GiveUp {
  readonly #clock: Clock
  readonly #floor: DiskFloor
  readonly #onGivenUp: OnGivenUp
  readonly #report: (problem: string) => void
  readonly #busy = new Set<Group>()
  /** By dead letters' topic: which records have a letter. */
  readonly #letters = new WeakMap<Topic, KnownLetters>()

  constructor(clock: Clock, floor: DiskFloor, onGivenUp: OnGivenUp, report: (problem: string) => void) {
    this.#clock = clock
    this.#floor = floor
    this.#onGivenUp = onGivenUp
    this.#report = report
  }

  /** Gives up what has to be of a topic's groups. What cannot be written now is tried again the next time. */
  tend(topic: Topic, dead: Topic | undefined): void {
    if (dead === undefined || topic.isClosed || dead.isClosed) return
    for (const group of topic.groups.all) {
      if (group.kind.attemptsMax === Infinity || this.#busy.has(group)) continue
      const { hopeless } = group
      if (hopeless.length === 0) continue
      this.#busy.add(group)
      this.#giveUp(topic, dead, group, hopeless.slice(0, lettersAtOnce))
        .catch((error: unknown) => this.#report(`${topic.name}: no dead letter: ${(error as Error).message}`))
        .finally(() => this.#busy.delete(group))
    }
  }

  async #giveUp(topic: Topic, dead: Topic, group: Group, hopeless: readonly Hopeless[]): Promise<void> {
    const known = await this.#knownOf(dead).read()
    const letters: Letter[] = []
    const origins: string[] = []
    for (const each of hopeless) {
      const log = topic.logs[each.partition] as Log
      const origin = formatId(log.broker, log.partition, each.offset)
      const isKnown = known.has(keyOf(group.name, origin))
      const row = isKnown ? undefined : await textAt(log, each.offset)
      if (isKnown || row !== undefined) origins.push(origin)
      // Removed meanwhile, or damaged: there is nothing to keep.
      if (row !== undefined)
        letters.push({ reason: reasonOf(each), origin, group: group.name, attempts: each.attempts, row })
    }
    if (!(await this.#write(dead, letters))) return
    topic.givenUp.set(group.name, (topic.givenUp.get(group.name) ?? 0) + origins.length)
    this.#onGivenUp(topic.name, group.name, origins)
    // A seek may have come between.
    for (const { partition, offset } of group.hopeless) {
      const isDone = hopeless.some((each) => each.partition === partition && each.offset === offset)
      if (isDone) group.pass(partition, offset, (offset + 1) as Offset)
    }
    await topic.groups.settle(
      group.name,
      hopeless.map(({ partition }) => partition),
      this.#clock.wallMs(),
    )
  }

  async #write(dead: Topic, letters: readonly Letter[]): Promise<boolean> {
    if (letters.length === 0) return true
    const log = dead.logs[0]
    if (log === undefined || this.#floor.reachedByDead !== undefined) return false
    const text = letters.map((letter) => JSON.stringify(letter)).join('\n')
    const records = readRecords(Buffer.from(text), 'ndjson', Infinity) as Records
    const appended = log.append(records, undefined, this.#clock.wallMs())
    if (typeof appended === 'string' || 'expected' in appended) return false
    this.#floor.take(records.bytes.length)
    return (await appended.done) === 'durable'
  }

  #knownOf(dead: Topic): KnownLetters {
    let known = this.#letters.get(dead)
    if (known === undefined) this.#letters.set(dead, (known = new KnownLetters(dead)))
    return known
  }
}

/** Which records of which groups there are letters of. What consumers wrote themselves counts too. */
class KnownLetters {
  readonly #dead: Topic
  readonly #keys = new Set<string>()
  /** How far each log has been read. */
  readonly #next = new Map<Log, Offset>()

  constructor(dead: Topic) {
    this.#dead = dead
  }

  /** Reads what has come since the last time. */
  async read(): Promise<ReadonlySet<string>> {
    for (const log of this.#dead.logs) {
      let next = Math.max(this.#next.get(log) ?? 0, log.first) as Offset
      while (next < log.end) {
        const batches = await log.read(next, readBytes)
        for (const batch of batches) for (const text of textsOf(batch)) this.#add(text)
        next = batches.at(-1)?.next ?? log.end
      }
      this.#next.set(log, next)
    }
    return this.#keys
  }

  #add(text: string): void {
    try {
      const { group, origin } = JSON.parse(text) as Partial<Letter>
      if (typeof group === 'string' && typeof origin === 'string') this.#keys.add(keyOf(group, origin))
    } catch {
      // Not a letter of a record.
    }
  }
}

function keyOf(group: string, origin: string): string {
  return `${group} ${origin}`
}

function reasonOf({ attempts, wasGivenBack }: Hopeless): string {
  return wasGivenBack
    ? `given back, for the last time after ${attempts} attempts`
    : `not acknowledged in ${attempts} attempts: their time was over, or their consumers went away`
}

async function textAt(log: Log, offset: Offset): Promise<string | undefined> {
  if (offset < log.first) return undefined
  const batches = await log.read(offset, 1)
  const batch = batches.find(({ first, next }) => first <= offset && offset < next)
  return batch === undefined ? undefined : textsOf(batch)[offset - batch.first]
}
