import { test } from 'tap'
import * as format from './format.ts'

test('numbers are short, and what is not reported is not a number', (t) => {
  t.equal(format.power(65_004.4), '65.0 kW')
  t.equal(format.power(0), '0 W')
  t.equal(format.power(null), 'not reported')
  t.equal(format.power(999.97), '1.0 kW', 'never 1000 W')
  t.equal(format.memory(397_396), '388 GiB')
  t.equal(format.memory(null), 'not reported')
  t.equal(format.percent(14.58, 1), '14.6 %')
  t.equal(format.percent(0), '0 %')
  t.equal(format.percent(null), 'not reported')
  t.equal(format.celsius(null), 'not reported')
  t.equal(format.bytes(1_048_576), '1.0 MB')
  t.equal(format.count(2_138_912), '2,138,912')
  t.equal(format.rate(0.25), '0.3/s')
  t.equal(format.rate(61_500), '61.5k/s')
  t.end()
})

test('ages are of one unit, and a clock that runs ahead is no negative age', (t) => {
  t.equal(format.ago(4_300), '4 s ago')
  t.equal(format.ago(-3_000), '0 s ago')
  t.equal(format.duration(99_600), '2 min')
  t.equal(format.duration(7_200_000), '2 h')
  t.equal(format.duration(130 * 86_400_000), '130 d')
  t.equal(format.moment(Date.UTC(2025, 6, 18, 20, 42, 34)), '2025-07-18 20:42:34 UTC')
  t.end()
})
