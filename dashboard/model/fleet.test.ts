import { test } from 'tap'
import { FleetModel, focusValue, isStale, labelOf, valueOf } from './fleet.ts'
import { listOf, nowMs, recordOf } from './samples.ts'

test('the list is the fleet: what it does not have is gone, what it has keeps its history', (t) => {
  const fleet = new FleetModel()
  fleet.replace(listOf([{ index: '1', values: { utilisation: 5 } }, { index: '0' }]))
  fleet.take([recordOf({ index: '1' }, 'utilisation', nowMs, 7)])
  fleet.replace(listOf([{ index: '1', values: { utilisation: 5 } }, { index: '2' }]))
  t.strictSame(fleet.all().map(labelOf), ['node-1:1', 'node-1:2'])
  const gpu = fleet.gpu('GPU-node-1-1')
  t.equal(gpu === undefined ? 0 : valueOf(gpu, 'utilisation'), 7, 'an older value of the list changes nothing')
  t.equal(gpu?.history.utilisation?.length, 2)
  t.end()
})

test('a record that is late changes nothing; one of the same time replaces', (t) => {
  const fleet = new FleetModel()
  fleet.take([
    recordOf({}, 'power', nowMs, 300),
    recordOf({}, 'power', nowMs - 1_000, 100),
    recordOf({}, 'power', nowMs, 310),
  ])
  const [gpu] = fleet.all()
  t.equal(gpu === undefined ? 0 : valueOf(gpu, 'power'), 310)
  t.strictSame(gpu?.history.power?.points(), [{ timeMs: nowMs, value: 310 }])
  t.end()
})

test('not reported takes the place of the value before, and is not zero', (t) => {
  const fleet = new FleetModel()
  fleet.take([recordOf({}, 'temperature', nowMs - 1, 60), recordOf({}, 'temperature', nowMs, null)])
  const [gpu] = fleet.all()
  t.equal(gpu === undefined ? 0 : valueOf(gpu, 'temperature'), null)
  t.equal(gpu?.history.temperature?.points().at(-1)?.value, null)
  t.end()
})

test('memory is one sum of one moment', (t) => {
  const fleet = new FleetModel()
  fleet.take([recordOf({}, 'used', nowMs, 1_000), recordOf({}, 'free', nowMs, 3_000)])
  const [gpu] = fleet.all()
  t.equal(gpu === undefined ? 0 : focusValue(gpu, 'memory'), 25)
  fleet.take([recordOf({}, 'used', nowMs + 5_000, 2_000)])
  t.equal(gpu?.history.memory?.length, 1, 'a new used with an old free is no point of the line')
  fleet.take([recordOf({}, 'free', nowMs + 5_000, 2_000)])
  t.equal(gpu?.history.memory?.points().at(-1)?.value, 50)
  t.end()
})

test('stale is older than 90 s, or than three intervals of a source that reports rarely', (t) => {
  const fleet = new FleetModel()
  fleet.take([recordOf({}, 'power', nowMs, 1)])
  const [gpu] = fleet.all()
  if (gpu === undefined) throw new Error('no GPU')
  t.notOk(isStale(gpu, nowMs + 90_000))
  t.ok(isStale(gpu, nowMs + 90_001))
  for (let beat = 1; beat <= 3; beat++) fleet.take([recordOf({}, 'power', nowMs + beat * 60_000, 1)])
  t.equal(gpu.intervalMs, 60_000)
  t.notOk(isStale(gpu, nowMs + 180_000 + 180_000))
  t.ok(isStale(gpu, nowMs + 180_000 + 180_001))
  t.end()
})

test('metrics with times of their own do not make the interval shorter', (t) => {
  const fleet = new FleetModel()
  for (let beat = 0; beat < 4; beat++) {
    const at = nowMs + beat * 120_000
    fleet.take([
      recordOf({}, 'utilisation', at, 1),
      recordOf({}, 'power', at + 2_000, 1),
      recordOf({}, 'used', at + 3_000, 1),
    ])
  }
  t.equal(fleet.all()[0]?.intervalMs, 120_000)
  t.end()
})

test('the slices of a GPU are told apart, and a GPU that the list never had is taken from the stream', (t) => {
  const fleet = new FleetModel()
  const members = fleet.members
  fleet.take([recordOf({ slice: '1' }, 'used', nowMs, 1), recordOf({ slice: '2' }, 'used', nowMs, 2)])
  t.strictSame(fleet.all().map(labelOf), ['node-1:0/1', 'node-1:0/2'])
  fleet.replace(
    listOf([
      { host: '', uuid: 'GPU-x' },
      { index: '', uuid: 'GPU-y', slice: '1' },
    ]),
  )
  t.strictSame(fleet.all().map(labelOf), ['GPU-x', 'node-1:GPU-y/1'], 'a GPU without a place is not nameless')
  t.ok(fleet.members > members, 'the map must be laid out anew')
  t.end()
})

test('a stream cannot fill the memory with GPUs', (t) => {
  const fleet = new FleetModel()
  const records = Array.from({ length: 20_050 }, (_, at) => recordOf({ uuid: `GPU-${at}` }, 'power', nowMs, 1))
  fleet.take(records)
  t.equal(fleet.size, 20_000)
  t.end()
})
