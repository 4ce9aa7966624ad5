import { test } from 'tap'
import { FleetModel, labelOf } from './fleet.ts'
import { firstView, pageOf, rowsOf, sortedBy, type View } from './rows.ts'
import { listOf, nowMs, type SampleGpu } from './samples.ts'

const samples: readonly SampleGpu[] = [
  { host: 'node-10', values: { utilisation: 10, power: 100, used: 5_000, free: 5_000, temperature: 40 } },
  {
    host: 'node-2',
    values: { utilisation: 0, power: null, used: 5_000, free: 5_000, temperature: 41 },
    pod: 'train-1',
  },
  {
    host: 'node-2',
    index: '1',
    model: 'NVIDIA A100',
    values: { utilisation: 90, power: 300, used: 10, free: 90, temperature: 42 },
  },
  { host: 'node-3', ageS: 500, values: { utilisation: 0, power: 50, used: 10, free: 90, temperature: 43 } },
]

function labels(view: Partial<View>): string[] {
  const fleet = new FleetModel()
  fleet.replace(listOf(samples))
  return rowsOf(fleet.all(), { ...firstView, ...view }, nowMs).map(labelOf)
}

test('by name in the order in which people count', (t) => {
  t.strictSame(labels({}), ['node-2:0', 'node-2:1', 'node-3:0', 'node-10:0'])
  t.strictSame(labels({ descending: true }), ['node-10:0', 'node-3:0', 'node-2:1', 'node-2:0'])
  t.end()
})

test('what is not reported stands last in either direction', (t) => {
  t.strictSame(labels({ by: 'power' }), ['node-3:0', 'node-10:0', 'node-2:1', 'node-2:0'])
  t.strictSame(labels({ by: 'power', descending: true }), ['node-2:1', 'node-10:0', 'node-3:0', 'node-2:0'])
  t.end()
})

test('the filter takes all words, in any case, of host, model, pod and uuid', (t) => {
  t.strictSame(labels({ text: 'NODE-2' }), ['node-2:0', 'node-2:1'])
  t.strictSame(labels({ text: ' a100  node-2 ' }), ['node-2:1'])
  t.strictSame(labels({ text: 'train' }), ['node-2:0'])
  t.strictSame(labels({ text: 'gpu-node-3-0' }), ['node-3:0'])
  t.strictSame(labels({ text: 'nothing like it' }), [])
  t.end()
})

test('each choice shows what it says', (t) => {
  t.strictSame(labels({ show: 'busy' }), ['node-2:1', 'node-10:0'])
  t.strictSame(labels({ show: 'idle' }), ['node-2:0', 'node-3:0'])
  t.strictSame(labels({ show: 'full' }), ['node-2:0'])
  t.strictSame(labels({ show: 'stale' }), ['node-3:0'])
  t.strictSame(labels({ show: 'silent' }), ['node-2:0'])
  t.end()
})

test('a column begins with its largest numbers or its first names, and turns round', (t) => {
  const byPower = sortedBy({ ...firstView, page: 3 }, 'power')
  t.match(byPower, { by: 'power', descending: true, page: 0 })
  t.match(sortedBy(byPower, 'power'), { by: 'power', descending: false })
  t.match(sortedBy(byPower, 'model'), { by: 'model', descending: false })
  t.end()
})

test('a page that is not there any more is the last one', (t) => {
  const rows = Array.from({ length: 60 }, (_, at) => at)
  t.match(pageOf(rows, 1), { page: 1, pages: 3, rows: rows.slice(25, 50) })
  t.match(pageOf(rows, 9), { page: 2, rows: rows.slice(50) })
  t.match(pageOf([], 2), { page: 0, pages: 1, rows: [] })
  t.end()
})
