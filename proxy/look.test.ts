import { test } from 'tap'
import { manualClock } from '#lib/clock'
import type { Ordinal } from '#wire/ids'

import { Cluster } from './cluster.ts'
import type { Gateway } from './forward.ts'
import { allFigures, learnTopics } from './look.ts'
import type { Member } from './members.ts'

const figures = (groups: object) => ({ topics: { telemetry: { records: 1, produced: 2, bytes: 3, groups } } })
const group = { mode: 'exclusive', lag: 1, in_flight: 1, given_back: 1, given_up: 2, consumers: 1, lost: 1, logs: [{}] }

/** A gateway to brokers that answer this; `undefined`: one that does not answer. */
function gatewayTo(answers: readonly (object | undefined)[]): Gateway {
  const all = answers.map((answer) => ({ state: 'up', answer }))
  const upstream = ({ answer }: { readonly answer: object | undefined }) => ({
    async request() {
      if (answer === undefined) throw new Error('ECONNREFUSED')
      return { status: 200, body: Buffer.from(JSON.stringify(answer)) }
    },
  })
  return { cluster: { members: { all, missing: 0 } }, upstream } as unknown as Gateway
}

test('the figures of a group are added up over the brokers, and the oldest record is the oldest of all', async (t) => {
  const one = figures({ work: { ...group, oldest_unacknowledged_s: 5, idle_s: 7_200, expires_in_s: 60 } })
  const other = figures({ work: { ...group, oldest_unacknowledged_s: 9, idle_s: 4_000 }, own: group })
  const { complete, topics } = await allFigures(gatewayTo([one, other]))
  t.equal(complete, true)
  t.match(topics['telemetry'], {
    records: 2,
    produced: 4,
    bytes: 6,
    groups: {
      work: {
        mode: 'exclusive',
        lag: 2,
        in_flight: 2,
        given_back: 2,
        given_up: 4,
        consumers: 1,
        lost: 2,
        oldest_unacknowledged_s: 9,
        idle_s: 4_000,
        expires_in_s: 60,
        logs: [{}, {}],
      },
      own: group,
    },
  })
})

test('a group that is read at one broker is not idle; one whose records are all acknowledged has no oldest', async (t) => {
  const { topics } = await allFigures(
    gatewayTo([figures({ work: { ...group, idle_s: 4_000 } }), figures({ work: group })]),
  )
  const work = topics['telemetry']?.groups['work'] ?? {}
  t.notOk('idle_s' in work)
  t.notOk('oldest_unacknowledged_s' in work)
})

test('topics and groups may have the names that objects have for themselves', async (t) => {
  const names = ['constructor', '__proto__', 'toString']
  const groups = Object.fromEntries(names.map((name) => [name, group]))
  const topics = Object.fromEntries(names.map((name) => [name, { records: 1, produced: 1, bytes: 1, groups }]))
  const bare = Object.fromEntries(names.map((name) => [name, { records: 1, produced: 1, bytes: 1, groups: {} }]))
  const found = await allFigures(gatewayTo([{ topics: bare }, { topics }, { topics }]))
  t.strictSame(Object.keys(found.topics).toSorted(), names.toSorted())
  for (const figures of Object.values(found.topics)) {
    t.equal(figures.records, 3)
    t.strictSame(Object.keys(figures.groups).toSorted(), names.toSorted())
    for (const { lag } of Object.values(figures.groups)) t.equal(lag, 2)
  }
})

test('figures without one of the brokers say so', async (t) => {
  const { complete, topics } = await allFigures(gatewayTo([figures({}), undefined]))
  t.equal(complete, false)
  t.match(topics, { telemetry: { records: 1 } })
})

test('a broker that does not take a topic over is told of once, with its reason, until it does', async (t) => {
  const urls = ['http://broker-0', 'http://broker-1']
  const cluster = new Cluster(manualClock(0), urls, 150, () => {})
  for (const [at, url] of urls.entries()) cluster.members.probed(url, { kind: 'ready', ordinal: at as Ordinal })
  const topic = { name: 'telemetry', partitions: 4, durability: 'disk', logs: [], groups: [] }
  const full = { code: 'disk_full', detail: 'no space is left on the disk' }
  let refusal: { readonly status: number; readonly body: string } | undefined
  let asked = 0
  const upstream = ({ ordinal }: Member) => ({
    async request(method: string) {
      if (method === 'GET') {
        const topics = ordinal === 0 ? [topic] : []
        return { status: 200, body: Buffer.from(JSON.stringify({ topics })) }
      }
      asked++
      if (refusal === undefined) throw new Error('ECONNRESET')
      return { status: refusal.status, body: Buffer.from(refusal.body) }
    },
  })
  const told: string[] = []
  const gateway = { cluster, upstream, warn: (line: string) => told.push(line) } as unknown as Gateway
  const learn = async (): Promise<void> => {
    for (let round = 0; round < 3; round++) await learnTopics(gateway)
  }
  refusal = { status: 507, body: JSON.stringify(full) }
  await learn()
  refusal = undefined
  await learn()
  refusal = { status: 200, body: '{}' }
  await learn()
  refusal = { status: 502, body: '<html>' }
  await learn()
  t.equal(asked, 12, 'it is asked with each round')
  t.match(told, [
    /^broker 1 does not take telemetry as the others have it, and is asked again: it answers 507 disk_full: .*no space/,
    /ECONNRESET/,
    /is asked again: /,
  ])
  t.equal(told.length, 3)
})
