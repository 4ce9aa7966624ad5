/** What the brokers say of themselves, put together: `GET /topics` and the topics of `GET /status`. */

import type { Partition } from '#wire/ids'
import { Problem } from '#wire/problems'
import type { BrokerStatus, GroupStatus, ProxyStatus, TopicStatus } from '#wire/status'

import type { Answered } from './answer.ts'
import type { Gateway } from './forward.ts'
import type { Member } from './members.ts'
import { unacknowledged } from './strict.ts'

interface LogInfo {
  readonly broker: number
  readonly partition: number
  readonly records: number
}

/** What `GET /topics` of a broker says of a topic; its options besides. */
export interface TopicInfo {
  readonly name: string
  readonly partitions: number
  readonly durability: string
  /** Left out by brokers that do not know the option yet. */
  readonly strict?: boolean
  readonly dead_letters?: boolean
  readonly logs: readonly LogInfo[]
  readonly groups: readonly string[]
}

/** How long one broker may take to tell its figures. */
const answerMs = 2_000

/** What one broker said. */
interface Said<T> {
  readonly member: Member
  readonly told: T
}

/** Asks every member that is not down, and leaves out who does not answer. */
async function askAll<T>(gateway: Gateway, path: string): Promise<Said<T>[]> {
  const asked = gateway.cluster.members.all.filter((member) => member.state !== 'down')
  const answers = await Promise.all(
    asked.map(async (member): Promise<Said<T>[]> => {
      try {
        const { status, body } = await gateway.upstream(member).request('GET', path, { answerMs })
        return status === 200 ? [{ member, told: JSON.parse(body.toString('utf8')) as T }] : []
      } catch {
        // Its probe says what is wrong with it.
        return []
      }
    }),
  )
  return answers.flat()
}

/**
 * The topics of all brokers: each with the largest number of partitions, and every log.
 * @throws {Problem} `unavailable` when no broker answers: an empty list would say that there is no topic at all.
 */
export async function allTopics(gateway: Gateway): Promise<TopicInfo[]> {
  return mergeTopics(await askTopics(gateway))
}

type TopicsSaid = Said<{ readonly topics: readonly TopicInfo[] }>

async function askTopics(gateway: Gateway): Promise<TopicsSaid[]> {
  const answers = await askAll<{ readonly topics: readonly TopicInfo[] }>(gateway, '/topics')
  if (answers.length > 0) return answers
  throw new Problem('unavailable', 'no broker answers now', { retry_after_s: gateway.retryAfterS })
}

function mergeTopics(answers: readonly TopicsSaid[]): TopicInfo[] {
  const merged = new Map<string, TopicInfo>()
  for (const topic of answers.flatMap(({ told }) => told.topics)) {
    const known = merged.get(topic.name)
    merged.set(
      topic.name,
      known === undefined
        ? topic
        : {
            ...known,
            partitions: Math.max(known.partitions, topic.partitions),
            logs: [...known.logs, ...topic.logs],
            groups: [...new Set([...known.groups, ...topic.groups])],
          },
    )
  }
  return [...merged.values()]
}

/** Each asking waits for the one before, so that an older answer never takes the place of a newer one. */
const asking = new WeakMap<Gateway, Promise<void>>()

/** Asks the brokers for the topics, and routes by what they say. @throws {Problem} as {@link allTopics} */
export function learnTopics(gateway: Gateway): Promise<void> {
  const learned = learnAfter(asking.get(gateway), gateway)
  const settled = learned.catch(() => {})
  asking.set(gateway, settled)
  return learned
}

async function learnAfter(before: Promise<void> | undefined, gateway: Gateway): Promise<void> {
  await before
  const { cluster } = gateway
  const answers = await askTopics(gateway)
  const topics = mergeTopics(answers)
  // An answer of nobody says nothing about the topics.
  if (topics.length > 0) cluster.learn(new Map(topics.map((topic) => [topic.name, topic])))
  await Promise.all(answers.map(({ member, told }) => levelTopics(gateway, member, told.topics, topics)))
  await openGates(gateway, topics)
}

/** Makes on a broker what the others have and it has not: one that joins must take records of every topic. */
async function levelTopics(
  gateway: Gateway,
  member: Member,
  own: readonly TopicInfo[],
  all: readonly TopicInfo[],
): Promise<void> {
  if (!member.writable) return
  for (const { logs: _, groups: __, dead_letters: isDead, name, ...options } of all) {
    const mine = own.find((topic) => topic.name === name)
    if (isDead === true || (mine !== undefined && mine.partitions >= options.partitions)) continue
    const body = JSON.stringify(mine === undefined ? options : { partitions: options.partitions })
    const headers = { 'content-type': 'application/json' }
    // What it refuses now is asked of it again with the next round.
    const why = await gateway
      .upstream(member)
      .request(mine === undefined ? 'PUT' : 'PATCH', `/topics/${name}`, { headers, body, answerMs })
      .then(refusalOf)
      .catch((error: unknown) => (error as Error).message)
    tellUnlevel(gateway, member, name, why)
  }
}

/** Why a broker does not take a topic over; nothing when it does. */
function refusalOf({ status, body }: Answered): string | undefined {
  if (status < 400) return undefined
  const { code, message } = Problem.fromBody(status, JSON.parse(body.toString('utf8')))
  return `it answers ${status} ${code}: ${message}`
}

/** What was told last of a broker and a topic: as many lines as there are of both, however often is asked. */
const toldUnlevel = new WeakMap<Gateway, Map<string, string>>()

function tellUnlevel(gateway: Gateway, { ordinal, url }: Member, topic: string, why: string | undefined): void {
  let told = toldUnlevel.get(gateway)
  if (told === undefined) toldUnlevel.set(gateway, (told = new Map()))
  const key = `${ordinal ?? url} ${topic}`
  if (why === undefined) told.delete(key)
  else if (told.get(key) !== why) {
    told.set(key, why)
    gateway.warn(`broker ${ordinal ?? url} does not take ${topic} as the others have it, and is asked again: ${why}`)
  }
}

/** Looks whether partitions of strict topics that wait may be written to. */
async function openGates(gateway: Gateway, topics: readonly TopicInfo[]): Promise<void> {
  const { cluster } = gateway
  const { members, gates } = cluster
  const shut = topics.flatMap((topic) =>
    topic.strict === true
      ? (cluster.topic(topic.name)?.owners.flatMap((owner, place) => {
          const partition = place as Partition
          return gates.isOpen(topic.name, partition, owner) ? [] : [{ topic, partition, owner }]
        }) ?? [])
      : [],
  )
  if (shut.length === 0) return
  // The logs were told before the groups: what a group does not know by now is new to it.
  const answers = await askAll<BrokerStatus>(gateway, '/status')
  for (const { topic, partition, owner } of shut) {
    const canBeAsked = ({ ordinal }: Member): boolean =>
      ordinal === owner || answers.some(({ member }) => member.ordinal === ordinal)
    const figures = answers.flatMap(({ told }) => new Map(Object.entries(told.topics)).get(topic.name) ?? [])
    const names = new Set(figures.flatMap(({ groups }) => Object.keys(groups)))
    const groups = [...names].map((name) => figures.flatMap((each) => each.groups[name]?.logs ?? []))
    const isOld = (log: { readonly broker: number; readonly partition: number }): boolean =>
      log.partition === partition && log.broker !== owner
    const waiting =
      members.missing === 0 && members.all.every(canBeAsked) ? unacknowledged(topic.logs, groups, isOld) : undefined
    gates.judge({ topic: topic.name, partition, owner, waiting })
  }
}

/** The figures of all brokers, added up. `complete` is false while a broker is missing from them. */
export async function allFigures(gateway: Gateway): Promise<Pick<ProxyStatus, 'complete' | 'topics'>> {
  const answers = await askAll<BrokerStatus>(gateway, '/status')
  // Maps: who consumes names the groups, and of an object `constructor` is a member already.
  const topics = new Map<string, TopicStatus>()
  for (const { told } of answers) {
    for (const [name, figures] of Object.entries(told.topics)) topics.set(name, addTopics(topics.get(name), figures))
  }
  const { members } = gateway.cluster
  const complete = members.missing === 0 && answers.length === members.all.length
  return { complete, topics: Object.fromEntries(topics) }
}

function addTopics(known: TopicStatus | undefined, more: TopicStatus): TopicStatus {
  if (known === undefined) return more
  const groups = new Map(Object.entries(known.groups))
  for (const [name, group] of Object.entries(more.groups)) {
    const mine = groups.get(name)
    groups.set(name, mine === undefined ? group : addGroups(mine, group))
  }
  return {
    records: known.records + more.records,
    produced: known.produced + more.produced,
    bytes: known.bytes + more.bytes,
    ...(known.open === undefined && more.open === undefined ? {} : { open: (known.open ?? 0) + (more.open ?? 0) }),
    missing: addMissing(known.missing, more.missing),
    groups: Object.fromEntries(groups),
  }
}

function addGroups(a: GroupStatus, b: GroupStatus): GroupStatus {
  const oldest = [a, b].flatMap((one) => one.oldest_unacknowledged_s ?? [])
  // Where somebody reads at one broker, the group is not idle.
  const isIdle = a.idle_s !== undefined && b.idle_s !== undefined
  const expiries = isIdle ? [a, b].flatMap((one) => one.expires_in_s ?? []) : []
  return {
    mode: a.mode,
    ...(isIdle ? { idle_s: Math.min(a.idle_s, b.idle_s) } : {}),
    ...(expiries.length === 0 ? {} : { expires_in_s: Math.min(...expiries) }),
    ...(oldest.length === 0 ? {} : { oldest_unacknowledged_s: Math.max(...oldest) }),
    lag: a.lag + b.lag,
    in_flight: a.in_flight + b.in_flight,
    given_back: (a.given_back ?? 0) + (b.given_back ?? 0),
    given_up: (a.given_up ?? 0) + (b.given_up ?? 0),
    // One consumer is connected to every broker.
    consumers: Math.max(a.consumers, b.consumers),
    lost: (a.lost ?? 0) + (b.lost ?? 0),
    logs: [...a.logs, ...b.logs],
  }
}

function addMissing(a: TopicStatus['missing'] = {}, b: TopicStatus['missing'] = {}): Readonly<Record<string, number>> {
  const reasons = new Set([...Object.keys(a), ...Object.keys(b)])
  return Object.fromEntries([...reasons].map((reason) => [reason, (a[reason] ?? 0) + (b[reason] ?? 0)]))
}
