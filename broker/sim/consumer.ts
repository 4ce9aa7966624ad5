/** Clients that read in a group and acknowledge: one at a time, up to one, or now so and now so. */

import type { Offset, Partition } from '#wire/ids'

import { GroupSession } from '../groups/session.ts'
import type { Group } from '../groups/group.ts'
import type { Progress } from '../groups/progress.ts'
import type { Member } from '../groups/sharing.ts'
import { ConsumeStream } from '../stream.ts'
import type { Topic } from '../topic.ts'
import { SimulatedSink } from './sink.ts'
import type { Life } from './life.ts'
import type { World } from './world.ts'

export class Consumer {
  readonly #world: World
  readonly #topic: string
  readonly #group: string
  readonly #name: string
  readonly #acks: 'each' | 'up to' | 'mixed'

  constructor(world: World, topic: string, group: string, name: string) {
    this.#world = world
    this.#topic = topic
    this.#group = group
    this.#name = name
    this.#acks = world.random.pick(['each', 'up to', 'mixed'])
  }

  async run(life: Life): Promise<void> {
    const { schedule } = this.#world
    for (;;) {
      await schedule.turn(`${this.#name} connects`)
      if (life.isStopping) continue
      const topic = life.topic(this.#topic)
      const group = await this.#open(topic)
      if (group !== undefined && !life.isStopping) await this.#consume(life, topic, group)
    }
  }

  async #open(topic: Topic): Promise<Group | undefined> {
    const { random, clock } = this.#world
    try {
      const group = await topic.groups.open(
        this.#group,
        { start: random.pick(['earliest', 'latest']), mode: this.#world.mode(this.#topic, this.#group) },
        clock.wallMs(),
      )
      this.#world.groupFound(topic, group)
      return group
    } catch {
      return undefined
    }
  }

  async #consume(life: Life, topic: Topic, group: Group): Promise<void> {
    const { schedule, random, clock } = this.#world
    const sink = new SimulatedSink({ group: this.#group, mode: group.kind.mode }, (found) =>
      this.#world.complain(`${this.#name} is sent all of a log, or told why not`, found),
    )
    const stream = new ConsumeStream(sink, topic.logs, () => {})
    life.streams.add(stream)
    const member: Member = {
      name: this.#name,
      partition: undefined,
      maxInFlight: random.pick([1, 4, 1000]),
      visibilityMs: 1000,
      wake: () => stream.wake(),
      revoked: (partition) => stream.revoked(partition),
      dismissed: () => stream.cut('seek', 'the group goes on elsewhere'),
    }
    stream.start(new GroupSession(clock, group, member))
    /** Got and not acknowledged, by partition. */
    const got = new Map<Partition, Set<Offset>>()
    while (!sink.isClosed) {
      await schedule.turn(`${this.#name} waits`)
      for (const heard of sink.take()) {
        if (heard.kind === 'cut') sink.end()
        if (heard.kind === 'gap') {
          this.#world.model(this.#topic, heard.partition).begins(topic.logs[heard.partition]?.first ?? 0)
          this.#world.model(this.#topic, heard.partition).gap(heard.first, heard.last + 1, this.#name)
        }
        if (heard.kind !== 'record') continue
        const { partition, offset, data } = heard
        this.#world.model(this.#topic, partition).shown(offset, data, this.#name)
        this.#world.group(this.#topic, this.#group, partition).delivered(offset)
        const offsets = got.get(partition as Partition) ?? new Set()
        got.set(partition as Partition, offsets.add(offset as Offset))
      }
      const held = [...got].filter(([, offsets]) => offsets.size > 0)
      // Who could not be made durable is gone again: an acknowledgement would be answered with `unknown_group`.
      if (topic.groups.named(this.#group) !== group) stream.cut('stopping', 'the group is gone')
      else if (held.length > 0 && !life.isStopping && random.chance(0.5)) {
        const [partition, offsets] = random.pick(held)
        if (random.chance(0.15)) {
          this.#giveBack(group, partition, offsets)
          continue
        }
        const answer = this.#acknowledge(life, topic, group, partition, offsets)
        if (random.chance(0.7)) await answer
      }
      if (!this.#world.isResting && random.chance(0.03)) sink.end()
    }
  }

  /** Gives one record back, or asks for more time for it. What was given back is not this consumer's any more. */
  #giveBack(group: Group, partition: Partition, offsets: Set<Offset>): void {
    const { random, clock } = this.#world
    const now = clock.monotonicMs()
    const chosen = random.pick([...offsets])
    if (random.chance(0.5)) group.extend(partition, chosen, now)
    else if (group.giveBack(partition, chosen, random.pick([0, 50, 3000]), now) === 'ok') offsets.delete(chosen)
  }

  async #acknowledge(
    life: Life,
    topic: Topic,
    group: Group,
    partition: Partition,
    offsets: Set<Offset>,
  ): Promise<void> {
    const { random, clock } = this.#world
    const model = this.#world.group(this.#topic, this.#group, partition)
    const now = clock.monotonicMs()
    const chosen = random.pick([...offsets])
    const before = group.progress(partition).floor
    const isUpTo =
      group.kind.mode === 'exclusive' && (this.#acks === 'mixed' ? random.chance(0.5) : this.#acks === 'up to')
    const { seeks } = model
    const verdict = isUpTo ? group.acknowledgeUpTo(partition, chosen, now) : group.acknowledge(partition, chosen, now)
    const covered = isUpTo ? acknowledgedUpTo(before, group.progress(partition), chosen) : [chosen]
    for (const offset of isUpTo ? [...offsets].filter((each) => each <= chosen) : [chosen]) offsets.delete(offset)
    if (verdict !== 'ok') return
    for (const offset of covered) model.asked(offset)
    life.inFlight++
    const outcome = await topic.groups.settle(this.#group, [partition], clock.wallMs())
    life.inFlight--
    if (outcome === 'durable' && seeks === model.seeks) for (const offset of covered) model.answered(offset)
  }
}

/** What an acknowledgement up to an offset says is done: all but what was given back, of which the group alone knows. */
function acknowledgedUpTo(floor: number, { floor: reached, acknowledged }: Progress, offset: number): number[] {
  const covered: number[] = []
  for (let at = floor; at <= offset; at++) {
    if (at < reached || acknowledged.some(([from, to]) => at >= from && at < to)) covered.push(at)
  }
  return covered
}
