import fc from 'fast-check'
import { test } from 'tap'
import { gpuRecord, transferRecord } from '#store/samples'
import { Live, type Outlet } from './live.ts'

interface Heard {
  readonly events: { name: string; data: any; id: string | undefined }[]
  readonly outlet: Outlet
  isFull: boolean
  values(): number[]
}

function listener(): Heard {
  const events: Heard['events'] = []
  const heard = {
    events,
    isFull: false,
    values: () => events.filter(({ name }) => name === 'message').map(({ data }) => data.value as number),
    outlet: {
      event: (name: string, data: string, id?: string) => void events.push({ name, data: JSON.parse(data), id }),
      get isFull() {
        return heard.isFull
      },
    },
  }
  return heard
}

const all = () => true
const numbered = (value: number) => gpuRecord({ metric: 'm', value })
const large = 1e9

test('a reader hears what comes after it, filtered, and resumes behind the last id it has', (t) => {
  const live = new Live('e', large)
  live.publish([numbered(0)])
  const first = listener()
  const reader = live.open(first.outlet, (record) => (record as { value: number }).value % 2 === 1, false, undefined)
  live.publish([numbered(1), numbered(2), numbered(3)])
  t.same(first.values(), [1, 3])
  live.close(reader)
  live.publish([numbered(4), numbered(5)])
  const again = listener()
  live.open(again.outlet, all, false, first.events.at(-1)?.id)
  t.same(again.values(), [4, 5])
  t.notOk(again.events.some(({ name }) => name === 'gap'))
  t.end()
})

test('an id of another process, or of the future, is answered with a gap', (t) => {
  const live = new Live('mine', large)
  live.publish([numbered(1)])
  for (const id of ['other-0', 'mine-7', 'mine', '0/0/1', 'mine--1']) {
    const heard = listener()
    live.open(heard.outlet, all, false, id)
    t.match(heard.events[1], { name: 'gap', data: { missed: null } }, id)
  }
  t.end()
})

test('the state is told at the start and when it changes', (t) => {
  const live = new Live('e', large)
  const heard = listener()
  live.open(heard.outlet, all, false, undefined)
  live.setState(true, null)
  live.setState(true, null)
  live.setState(false, 'no broker')
  t.same(
    heard.events.map(({ data }) => data),
    [
      { live: false, reason: 'connecting' },
      { live: true, reason: null },
      { live: false, reason: 'no broker' },
    ],
  )
  t.end()
})

test('whatever readers do, each record is heard once and in order, or counted as missed', (t) => {
  const step = fc.oneof(fc.record({ publish: fc.integer({ min: 1, max: 30 }) }), fc.record({ full: fc.boolean() }))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1_000, max: 20_000 }), (steps, bytesMax) => {
      const live = new Live('e', bytesMax)
      const heard = listener()
      const reader = live.open(heard.outlet, all, false, undefined)
      let next = 0
      for (const each of steps) {
        if ('publish' in each) live.publish(Array.from({ length: each.publish }, () => numbered(next++)))
        else {
          heard.isFull = each.full
          if (!each.full) reader.pump()
        }
      }
      heard.isFull = false
      reader.pump()
      let expected = 0
      for (const { name, data } of heard.events) {
        if (name === 'gap') expected += data.missed as number
        if (name === 'message' && (data.value as number) !== expected++) return false
      }
      return expected === next
    }),
  )
  t.end()
})

test('what is kept stays within its bound', (t) => {
  const live = new Live('e', 50_000)
  for (let at = 0; at < 10_000; at++) live.publish([numbered(at)])
  t.ok(live.next - live.oldest < 150, `${live.next - live.oldest} records`)
  t.equal((live.at(live.oldest).record as { value: number }).value, live.oldest)
  t.end()
})

test('a gathering reader gets the newest of each series, and every transfer', (t) => {
  const live = new Live('e', large)
  const heard = listener()
  const reader = live.open(heard.outlet, all, true, undefined)
  reader.flush()
  t.equal(heard.events.length, 1, 'nothing came, nothing is sent')
  live.publish([numbered(1), gpuRecord({ uuid: 'GPU-b', metric: 'm', value: 2 }), numbered(3), transferRecord()])
  live.publish([transferRecord({ id: 't2' })])
  heard.isFull = true
  reader.flush()
  t.equal(heard.events.length, 1, 'not while it is full')
  heard.isFull = false
  live.publish([numbered(4)])
  reader.flush()
  const [, records] = heard.events
  t.match(records, { name: 'records', id: 'e-5' })
  t.same(
    records?.data.map((record: any) => record.value ?? record.id),
    [2, 't1', 't2', 4],
  )
  live.publish([numbered(5)])
  reader.flush()
  t.equal(heard.events.at(-1)?.data.length, 1, 'what was sent is not sent again')
  t.end()
})
