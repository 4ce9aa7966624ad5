import { test } from 'tap'
import type { Gateway } from './forward.ts'
import { allFigures } from './look.ts'

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

test('figures without one of the brokers say so', async (t) => {
  const { complete, topics } = await allFigures(gatewayTo([figures({}), undefined]))
  t.equal(complete, false)
  t.match(topics, { telemetry: { records: 1 } })
})
