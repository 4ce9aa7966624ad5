import { test } from 'tap'
import { Leases } from './leases.ts'

test('more time is asked for after a third of it, once a log, until all is acknowledged', async (t) => {
  const leases = new Leases(30_000)
  leases.delivered('0/0', '0/0/7', 7, 0)
  leases.delivered('0/0', '0/0/9', 9, 5_000)
  leases.delivered('1/2', '1/2/0', 0, 6_000)
  t.same(leases.due(9_999), [])
  t.same(leases.due(10_000), ['0/0/9'], 'the time of the oldest counts, the newest stands for all')
  t.same(leases.due(15_999), [])
  t.same(leases.due(16_000), ['1/2/0'])
  leases.acknowledged('0/0', 7, 17_000)
  t.same(leases.due(26_999), ['1/2/0'], 'an acknowledgement gives new time')
  t.same(leases.due(27_000), ['0/0/9'])
  leases.acknowledged('0/0', 9, 28_000)
  leases.acknowledged('1/2', 0, 28_000)
  t.same(leases.due(1_000_000), [])
})

test('what is lost is not asked for again, and a redelivery begins anew', async (t) => {
  const leases = new Leases(30_000)
  leases.delivered('0/0', '0/0/9', 9, 0)
  leases.lost('0/0/9')
  t.same(leases.due(60_000), [])
  leases.delivered('0/0', '0/0/3', 3, 60_000)
  t.same(leases.due(70_000), ['0/0/3'])
  leases.acknowledged('0/0', 3, 71_000)
  t.same(leases.due(1_000_000), [])
})
