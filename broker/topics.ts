/**
 * The topics of a broker: those on its disk, those that its settings name, those that a request makes; and what each was
 * told, in `<topic>/topic.json`.
 *
 *     {"partitions":4,"durability":"fsync","retention_age":"30d","asked":["retention_age"]}
 *
 * For each option goes first what a request has said (`asked`), then `TOPICS`, then what was said last, then the default.
 */

import { deadSuffix } from '#wire/ids'

import { readWhole, replaceWhole } from './disk/disk.ts'
import {
  completed,
  contradiction,
  deadOptions,
  differences,
  isTopicName,
  optionNames,
  readOptions,
  writeOptions,
  type GivenOptions,
  type TopicOptions,
} from './options.ts'
import { closeLogs, Topic, type TopicContext } from './topic.ts'

/** What holds for all topics. */
export interface TopicLimits {
  /** Partitions of a topic that nobody said it of. */
  readonly partitionsDefault: number
  readonly partitionsMax: number
}

/** What somebody has said of a topic: the rest is default. */
type Said = GivenOptions & Pick<TopicOptions, 'partitions' | 'durability'>

interface Entry {
  readonly topic: Topic
  readonly dead: Topic
  readonly said: Said
  /** Names of the options that a request has set. */
  readonly asked: readonly string[]
}

/** What a request to make or change a topic came to. */
export type TopicChange =
  | {
      readonly outcome: 'made' | 'same' | 'changed'
      readonly topic: Topic
      /** How many partitions there were before, when there are more now. */
      readonly partitionsBefore: number | undefined
    }
  | { readonly outcome: 'unknown' }
  /** What is wrong, and what would be right. */
  | { readonly outcome: 'wrong'; readonly detail: string }
  | { readonly outcome: 'differs'; readonly detail: string }

export class Topics {
  readonly #context: TopicContext
  readonly #folder: string
  readonly #limits: TopicLimits
  readonly #entries = new Map<string, Entry>()
  /** With those of dead letters. */
  readonly #topics = new Map<string, Topic>()
  #last: Promise<unknown> = Promise.resolve()

  /**
   * Opens the topics on the disk, and makes those that are wanted and not there.
   *
   * @param wanted what `TOPICS` says
   */
  static async open(
    context: TopicContext,
    folder: string,
    wanted: ReadonlyMap<string, GivenOptions>,
    limits: TopicLimits,
  ): Promise<Topics> {
    const topics = new Topics(context, folder, limits)
    const names = new Set(wanted.keys())
    // A topic that is on disk is served, also when the settings do not name it (any more).
    const found = new Map<string, Stored>()
    for (const name of await context.disk.list(folder)) {
      const stored = isTopicName(name) ? await readStored(context, `${folder}/${name}`) : undefined
      if (stored !== undefined) found.set(name, stored)
      if (stored !== undefined) names.add(name)
    }
    for (const name of names) {
      const stored = found.get(name)
      const said = merged(context, name, stored, wanted.get(name) ?? {}, limits)
      await topics.#open(name, said, stored?.asked ?? [])
    }
    return topics
  }

  private constructor(context: TopicContext, folder: string, limits: TopicLimits) {
    this.#context = context
    this.#folder = folder
    this.#limits = limits
  }

  get all(): Iterable<Topic> {
    return this.#topics.values()
  }

  named(name: string): Topic | undefined {
    return this.#topics.get(name)
  }

  /** Makes a topic and the one of its dead letters; nothing when it is there and is as asked. Rejects with the disk's error. */
  create(name: string, given: GivenOptions, nowMs: number): Promise<TopicChange> {
    return this.exclusively(async () => {
      const entry = this.#entries.get(name)
      if (entry !== undefined) {
        const differ = differences(given, entry.topic.options)
        if (differ.length > 0) return { outcome: 'differs', detail: `${name} is there: ${differ.join(', ')}` }
        return this.#change(entry, given, nowMs)
      }
      const said = { durability: 'fsync' as const, partitions: this.#limits.partitionsDefault, ...given }
      const wrong = contradiction(completed(said), this.#limits.partitionsMax)
      if (wrong !== undefined) return { outcome: 'wrong', detail: wrong }
      const { topic } = await this.#open(name, said, Object.keys(writeOptions(given)))
      return { outcome: 'made', topic, partitionsBefore: undefined }
    })
  }

  /** Changes a topic. Rejects with the disk's error, and then nothing has changed. */
  alter(name: string, given: GivenOptions, nowMs: number): Promise<TopicChange> {
    return this.exclusively(async () => {
      const entry = this.#entries.get(name)
      return entry === undefined ? { outcome: 'unknown' } : this.#change(entry, given, nowMs)
    })
  }

  /** Runs what must not meet a change of the topics, and not itself. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#last.then(work)
    this.#last = run.catch(() => {})
    return run
  }

  async close(): Promise<void> {
    await this.exclusively(async () => {
      for (const topic of this.#topics.values()) await topic.close()
    })
  }

  /** The file of the topic comes last: a topic that a crash leaves half made is not there. */
  async #open(name: string, said: Said, asked: readonly string[]): Promise<Entry> {
    const options = completed(said)
    const opened: Topic[] = []
    try {
      const dead = await this.#openOne(name + deadSuffix, deadOptions(options))
      opened.push(dead)
      const topic = await this.#openOne(name, options)
      opened.push(topic)
      await this.#store(dead.name, { partitions: 1, durability: said.durability }, [])
      await this.#store(name, said, asked)
      const entry = { topic, dead, said, asked }
      this.#entries.set(name, entry)
      this.#topics.set(name, topic)
      this.#topics.set(dead.name, dead)
      return entry
    } catch (error) {
      for (const topic of opened) await topic.close()
      throw error
    }
  }

  async #openOne(name: string, options: TopicOptions): Promise<Topic> {
    const folder = `${this.#folder}/${name}`
    await this.#context.disk.makeFolder(folder)
    return Topic.open(this.#context, folder, name, options)
  }

  async #change(entry: Entry, given: GivenOptions, nowMs: number): Promise<TopicChange> {
    const { topic, dead } = entry
    const { partitions: partitionsBefore, durability } = topic.options
    const said = { ...entry.said, ...given }
    const asked = [...new Set([...entry.asked, ...Object.keys(writeOptions(given))])]
    const options = completed(said)
    if (options.partitions < partitionsBefore) {
      const detail = `partitions=${options.partitions}: ${topic.name} has ${partitionsBefore}, which can only be raised`
      return { outcome: 'wrong', detail }
    }
    const wrong = contradiction(options, Math.max(this.#limits.partitionsMax, partitionsBefore))
    if (wrong !== undefined) return { outcome: 'wrong', detail: wrong }
    const isSame = differences(given, topic.options).length === 0
    if (isSame && asked.length === entry.asked.length) {
      return { outcome: 'same', topic, partitionsBefore: undefined }
    }
    if (options.durability !== durability) return this.#reopen(entry, said, asked)
    const added = await topic.open(options.partitions)
    try {
      await this.#store(topic.name, said, asked)
    } catch (error) {
      await closeLogs(added)
      throw error
    }
    topic.change(options, added, nowMs)
    dead.change(deadOptions(options), [], nowMs)
    this.#entries.set(topic.name, { topic, dead, said, asked })
    const more = options.partitions > partitionsBefore ? partitionsBefore : undefined
    return { outcome: isSame ? 'same' : 'changed', topic, partitionsBefore: more }
  }

  /** A log keeps its durability as long as it is open: its files and its bookkeeping differ. Readers are cut and come back. */
  async #reopen(entry: Entry, said: Said, asked: readonly string[]): Promise<TopicChange> {
    const { topic, dead } = entry
    const partitionsBefore = topic.options.partitions
    let failure: unknown
    try {
      await topic.close()
      await dead.close()
      await this.#store(topic.name, said, asked)
    } catch (error) {
      failure = error
    }
    try {
      const opened = await (failure === undefined
        ? this.#open(topic.name, said, asked)
        : this.#open(topic.name, entry.said, entry.asked))
      if (failure !== undefined) throw failure
      const more = opened.topic.options.partitions > partitionsBefore ? partitionsBefore : undefined
      return { outcome: 'changed', topic: opened.topic, partitionsBefore: more }
    } catch (error) {
      // Neither as it was nor as it should be: only a start of the process helps.
      if (this.#topics.get(topic.name) === topic) this.#context.onBroken(error as Error)
      throw error
    }
  }

  async #store(name: string, said: Said, asked: readonly string[]): Promise<void> {
    const { disk } = this.#context
    const folder = `${this.#folder}/${name}`
    const text = `${JSON.stringify({ ...writeOptions(said), ...(asked.length === 0 ? {} : { asked }) })}\n`
    const isThere = (await disk.list(folder)).includes(fileName)
    if (isThere && (await readWhole(disk, `${folder}/${fileName}`)).toString('utf8') === text) return
    await replaceWhole(disk, folder, fileName, Buffer.from(text))
  }
}

const fileName = 'topic.json'

interface Stored {
  readonly said: Said
  readonly asked: readonly string[]
}

async function readStored({ disk }: TopicContext, folder: string): Promise<Stored | undefined> {
  if (!(await disk.list(folder)).includes(fileName)) return undefined
  const text = (await readWhole(disk, `${folder}/${fileName}`)).toString('utf8')
  let options: GivenOptions | { readonly wrong: string } = { wrong: 'it is no JSON object' }
  let names: unknown
  try {
    const values = JSON.parse(text) as Record<string, unknown>
    // Names of a later version are passed over.
    options = readOptions(Object.fromEntries(Object.entries(values).filter(([key]) => optionNames.includes(key))))
    names = values['asked'] ?? []
  } catch {
    // Said below.
  }
  if ('wrong' in options || options.partitions === undefined || !Array.isArray(names)) {
    const wrong = 'wrong' in options ? options.wrong : 'it does not say how many partitions there are'
    throw new Error(
      `${folder}/${fileName} is damaged: ${wrong}. Write {"partitions":N} into it, N as there are folders`,
    )
  }
  return {
    said: { durability: 'fsync', ...options, partitions: options.partitions },
    asked: names.filter((name): name is string => typeof name === 'string'),
  }
}

/** What holds of what was said: by a request, by `TOPICS`, and before. */
function merged(
  context: TopicContext,
  name: string,
  stored: Stored | undefined,
  wanted: GivenOptions,
  { partitionsDefault, partitionsMax }: TopicLimits,
): Said {
  if (stored === undefined) return { durability: 'fsync', partitions: partitionsDefault, ...wanted }
  const asked = Object.entries(writeOptions(stored.said)).filter(([option]) => stored.asked.includes(option))
  const { partitions } = stored.said
  if (wanted.partitions !== undefined && wanted.partitions < partitions && !stored.asked.includes('partitions')) {
    context.report(
      `${name} has ${partitions} partitions on disk and ${wanted.partitions} in TOPICS: ` +
        `it keeps ${partitions}, a topic's partitions cannot be lowered`,
    )
  }
  const said = {
    ...stored.said,
    ...wanted,
    ...(readOptions(Object.fromEntries(asked)) as GivenOptions),
    partitions: Math.max(partitions, wanted.partitions ?? 0),
  }
  const wrong = contradiction(completed(said), Math.max(partitions, partitionsMax))
  if (wrong === undefined) return said
  context.report(`${name}: TOPICS and what was set by a request exclude each other, it stays as it was: ${wrong}`)
  return stored.said
}
