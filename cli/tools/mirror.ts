/** `penstock mirror`: forwards topics of one broker, or proxy, to another. */

import { setTimeout as sleep } from 'node:timers/promises'
import { commonSettings, setting } from '#lib/settings'
import { Client, type ClientOptions, type TopicInfo } from '#wire/client'
import { isName } from '#wire/ids'
import { Transport } from '#wire/transport'
import { UsageError } from '../args.ts'
import { command, type Io } from '../command.ts'
import { Progress } from '../progress.ts'
import { formatNumber } from '../table.ts'
import { brokerSettings, explained, reachOf, topicNamed } from './broker.ts'
import { type Counts, MirrorTopic, partitionAt } from './mirror_topic.ts'

/** Between two looks at how far it is. */
const lookMs = 500

const { serviceToken } = commonSettings
const { tlsCa, tlsClientCert, tlsClientKey } = brokerSettings

export const mirror = command({
  name: 'mirror',
  about: `Forwards the records of topics from one broker (or proxy) to another, until it is stopped: from each site to
one place, say. It reads in a group of its own at the source and acknowledges what the target has taken, so that
the source keeps the rest, and penstock lag there shows it. Started again, after whatever end, it goes on where it was.
Each record is written to the target once: it is numbered there by where it stands at the source.

A partition goes to one partition of the target, in order. The topics must be there.
`,
  more: `  penstock mirror --from http://site-a:8080 --to http://center:8080 --topics telemetry,transfers
  FROM_TOKEN_FILE=a.token TO_TOKEN_FILE=c.token penstock mirror --from … --to … --topics telemetry,telemetry.dead
  penstock lag --addr http://site-a:8080       how far it is behind
`,
  settings: {
    from: setting.url('FROM', { help: 'the broker or proxy to read from' }),
    to: setting.url('TO', { help: 'the broker or proxy to write to' }),
    topics: setting.list('TOPICS', {
      help: 'the topics, with commas; T.dead are the dead letters of T',
      want: 'names of topics with commas',
      default: '',
    }),
    group: setting.text('GROUP', {
      help: 'the group at the source; another for each target, or to send everything again',
      default: 'mirror',
    }),
    once: setting.boolean('ONCE', { help: 'end when all that the source has is forwarded', default: 'false' }),
    fromToken: { ...serviceToken, name: 'FROM_TOKEN', help: 'the token of the source, where it wants one' },
    toToken: { ...serviceToken, name: 'TO_TOKEN', help: 'the token of the target, where it wants one' },
    tlsCa: {
      ...tlsCa,
      help: 'a PEM file: the authorities of addresses with https, of both sides; default the system’s',
    },
    tlsClientCert,
    tlsClientKey,
  },
  // The others have names that mean something else to the roles.
  reads: ['FROM_TOKEN', 'TO_TOKEN', 'TLS_CA', 'TLS_CLIENT_CERT', 'TLS_CLIENT_KEY'],
  async run(settings, io) {
    const { from, to, topics, group, once } = settings
    if (from === undefined || to === undefined || topics.length === 0) {
      throw new UsageError(['want --from URL, --to URL and --topics NAME,…'])
    }
    // The log's id, 16 letters and a dash, stands behind it in the name of a producer.
    if (!isName(group) || group.length > 100)
      throw new UsageError([`--group=${group}: want a name of 1 to 100 letters`])
    const { tlsCa, tlsClientCert, tlsClientKey } = settings
    const files = { tlsCa, tlsClientCert, tlsClientKey }
    const source = await reachOf({ addr: from, serviceToken: settings.fromToken, ...files }, io)
    const target = await reachOf({ addr: to, serviceToken: settings.toToken, ...files }, io)
    const run = new Mirror(source, target, group, io)
    await run.find(topics)
    await run.forward(once)
    return 0
  },
})

/** What one call of the command does. */
class Mirror {
  readonly #source: ClientOptions
  readonly #target: ClientOptions
  readonly #group: string
  readonly #io: Io
  readonly #ended = new AbortController()
  readonly #topics: MirrorTopic[] = []
  #names: readonly string[] = []

  constructor(source: ClientOptions, target: ClientOptions, group: string, io: Io) {
    this.#source = source
    this.#target = target
    this.#group = group
    this.#io = io
  }

  /** Looks whether the topics are there, on both sides. @throws Error that says which is not, and what to do */
  async find(names: readonly string[]): Promise<void> {
    const [source, target] = [new Client(this.#source), new Client(this.#target)]
    this.#names = [...new Set(names)]
    for (const name of this.#names) {
      const at = await this.#ask(this.#source, '--from', 'FROM_TOKEN', () => topicNamed(source, name))
      const goal = await this.#ask(this.#target, '--to', 'TO_TOKEN', () => topicThere(target, at, this.#target.url))
      if (isSame(at, goal)) throw new Error(`${this.#source.url} and ${this.#target.url} are one and the same broker`)
      this.#warn(at, goal)
      this.#topics.push(
        new MirrorTopic({
          source,
          target: new Transport(this.#target),
          letters: target,
          topic: at,
          partitions: goal.partitions,
          group: this.#group,
          signal: AbortSignal.any([this.#io.signal, this.#ended.signal]),
          onFailed: (error) => this.#ended.abort(error),
        }),
      )
    }
  }

  /** Forwards until it is told to end, or, `once`, until nothing is left. @throws what ended it otherwise */
  async forward(once: boolean): Promise<void> {
    const { signal } = this.#io
    const progress = new Progress(this.#io.stderr)
    const running = this.#topics.map((topic) => topic.run().catch((error: unknown) => this.#ended.abort(error)))
    for (let empty = 0; !signal.aborted && !this.#ended.signal.aborted;) {
      await sleep(lookMs, undefined, { signal: AbortSignal.any([signal, this.#ended.signal]) }).catch(() => {})
      progress.update(this.#text())
      empty = once && (await this.#isEmpty()) ? empty + 1 : 0
      if (empty === 2) this.#ended.abort('done')
    }
    await Promise.all(running)
    progress.clear()
    this.#io.stdout.write(`${this.#text()}\n`)
    const { reason } = this.#ended.signal
    if (this.#ended.signal.aborted && reason !== 'done' && !signal.aborted) throw reason
  }

  /** Whether the source's group has acknowledged all that is there. An unknown figure is none. */
  async #isEmpty(): Promise<boolean> {
    if (this.#topics.some(({ waiting }) => waiting > 0)) return false
    try {
      const { topics } = await new Client(this.#source).status()
      return this.#names.every((name) => topics?.[name]?.groups[this.#group]?.lag === 0)
    } catch {
      return false
    }
  }

  #text(): string {
    const sum = (count: (counts: Counts) => number) =>
      formatNumber(this.#topics.reduce((all, { counts }) => all + count(counts), 0))
    const waiting = this.#topics.reduce((all, topic) => all + topic.waiting, 0)
    return (
      `forwarded ${sum(({ forwarded }) => forwarded)} records, ${sum(({ known }) => known)} were there already, ` +
      `${sum(({ refused }) => refused)} refused, ${formatNumber(waiting)} waiting`
    )
  }

  async #ask<T>({ url }: ClientOptions, flag: string, variable: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw explained(error, url, flag, variable)
    }
  }

  /** Where keys stand in other partitions than those that the target would choose. */
  #warn({ name, partitions }: TopicInfo, goal: TopicInfo): void {
    if (partitions % goal.partitions === 0) return
    const places = Array.from({ length: partitions }, (_, at) => `${at} to ${partitionAt(goal.partitions, at)}`)
    const shown = places.length > 8 ? [...places.slice(0, 8), '…'] : places
    this.#io.stderr.write(
      `penstock: ${name} has ${partitions} partitions at the source and ${goal.partitions} at the target (${shown.join(', ')}): ` +
        'each key keeps its order, and stands in another partition than what is produced there directly\n',
    )
  }
}

async function topicThere(target: Client, { name, partitions }: TopicInfo, url: string): Promise<TopicInfo> {
  const topics = await target.topics()
  const found = topics.find((topic) => topic.name === name)
  if (found !== undefined) return found
  throw new Error(
    `no topic ${name} at ${url}; there are ${topics.map((topic) => topic.name).join(', ')}: ` +
      `penstock topics create ${name} --partitions ${partitions} --addr ${url} makes it`,
  )
}

/** A log that both have is one that would grow for ever. */
function isSame(one: TopicInfo, other: TopicInfo): boolean {
  const ids = new Set(one.logs.map(({ log_id: id }) => id))
  return other.logs.some(({ log_id: id }) => ids.has(id))
}
