import { test } from 'tap'
import { FleetModel, labelOf } from './fleet.ts'
import { listOf, nowMs, type SampleGpu } from './samples.ts'
import { totalsOf } from './totals.ts'

function totals(samples: readonly SampleGpu[]) {
  const fleet = new FleetModel()
  fleet.replace(listOf(samples))
  return totalsOf(fleet.all(), nowMs)
}

test('what is not reported takes no part, and is not zero', (t) => {
  const { power, utilisation, usedMib, totalMib } = totals([
    { index: '0', values: { power: 300, utilisation: 50, used: 10, free: 90 } },
    { index: '1', values: { power: null, utilisation: null, used: 20 } },
    { index: '2' },
  ])
  t.strictSame(power, { value: 300, of: 1 })
  t.strictSame(utilisation, { value: 50, of: 1 })
  t.strictSame(usedMib, { value: 30, of: 2 })
  t.equal(totalMib, 100, 'of those that report both')
  t.end()
})

test('GPUs without a host count as GPUs, and make no host', (t) => {
  const { gpus, hosts, gpusPerHost } = totals([{ index: '0' }, { index: '1' }, { host: '', uuid: 'GPU-x' }])
  t.strictSame({ gpus, hosts, gpusPerHost }, { gpus: 3, hosts: 1, gpusPerHost: [2, 2] })
  t.end()
})

test('a fleet without values has no sums', (t) => {
  const { power, utilisation, totalMib, hottest, newestMs } = totals([])
  t.strictSame([power.value, utilisation.value, totalMib, hottest, newestMs], [null, null, null, undefined, undefined])
  t.end()
})

test('stale values take part only where there are no others', (t) => {
  const old = { host: 'node-2', ageS: 1_000, values: { power: 700, temperature: 95 } }
  const some = totals([{ values: { power: 300, temperature: 40 } }, old])
  t.equal(some.power.value, 300)
  t.equal(some.hottest?.celsius, 40)
  t.equal(some.staleGpus, 1)
  t.notOk(some.allStale)
  const all = totals([old])
  t.equal(all.power.value, 700, 'a file of last year still has a fleet power')
  t.ok(all.allStale)
  t.end()
})

test('how many GPUs the hosts have', (t) => {
  t.strictSame(totals([{ host: 'a' }, { host: 'b' }, { host: 'b', index: '1' }]).gpusPerHost, [1, 2])
  t.end()
})

test('the slices of a GPU are one GPU with one power', (t) => {
  const { gpus, power, busyGpus, hottest } = totals([
    { slice: '1', values: { power: 300, utilisation: 10, temperature: 50 } },
    { slice: '2', values: { power: 300, utilisation: 20, temperature: 51 } },
  ])
  t.strictSame([gpus, power.value, busyGpus], [1, 300, 1])
  t.equal(hottest === undefined ? '' : labelOf(hottest.gpu), 'node-1:0/2')
  t.end()
})
