import { test } from 'tap'
import type { TelemetrySeries } from '#api/contract'
import { metricNames, type Quantity } from './metrics.ts'
import { joined, lineOf, pointsOf, rangeNames, ranges, sparklineOf, windowS } from './series.ts'

const at = (s: number, value: number | null) => ({ timeMs: s * 1000, value })

function seriesOf(quantity: Quantity, values: readonly (number | null)[]): TelemetrySeries {
  return {
    metric: metricNames[quantity],
    unit: null,
    labels: {},
    fn: 'mean',
    values: values.map((value, index) => ({ time: new Date(index * 1000).toISOString(), value })),
    truncated: false,
    next_start: null,
  }
}

test('a line ends where nothing was reported, and where nothing came for long', (t) => {
  t.strictSame(lineOf([at(0, 1), at(5, null), at(10, 2)]), [
    [0, 5, 10],
    [1, null, 2],
  ])
  const [times, values] = lineOf([at(0, 1), at(5, 1), at(10, 1), at(15, 1), at(60, 1), at(65, 1)])
  t.strictSame(values, [1, 1, 1, 1, null, 1, 1])
  t.strictSame(
    times,
    [...times].sort((a, b) => a - b),
    'times rise: uPlot wants that',
  )
  t.end()
})

test('one late value is no gap, and neither is one window', (t) => {
  t.notOk(lineOf([at(0, 1), at(5, 1), at(10, 1), at(22, 1)])[1].includes(null))
  t.notOk(lineOf([at(0, 1), at(1, 1), at(2, 1), at(15, 1)], 10_000)[1].includes(null))
  t.end()
})

test('memory is the share of both; without one of them it is not reported', (t) => {
  const { memory, power, utilisation } = pointsOf([
    seriesOf('used', [25, 50, null]),
    seriesOf('free', [75, null, 10]),
    seriesOf('power', [300]),
  ])
  t.strictSame(
    memory.map(({ value }) => value),
    [25, null, null],
  )
  t.strictSame(power, [at(0, 300)])
  t.strictSame(utilisation, [])
  t.end()
})

test('the stream goes on behind the answer', (t) => {
  t.strictSame(joined([at(0, 1), at(5, 2)], [at(4, 9), at(9, 9), at(10, 3)], 5_000), [at(0, 1), at(5, 2), at(10, 3)])
  t.strictSame(joined([], [at(1, 1)], 5_000), [at(1, 1)])
  t.end()
})

test('no range has more windows than a chart shows', (t) => {
  for (const range of rangeNames) t.ok(ranges[range] / 1000 / windowS(range) <= 240, range)
  t.end()
})

test('a sparkline has gaps, dots where a value stands alone, and stays in its box', (t) => {
  const box = { endMs: 100_000, spanMs: 100_000, width: 103, height: 20 }
  const { path, dots } = sparklineOf(
    [at(0, 0), at(10, 100), at(20, null), at(30, 50), at(40, null), at(50, 500), at(60, 0)],
    box,
    [0, 100],
  )
  t.equal(path, 'M0 18.5L10 1.5M50 1.5L60 18.5')
  t.strictSame(dots, [{ x: 30, y: 10 }])
  t.strictSame(sparklineOf([at(50, null), at(60, null)], box, [0, 100]), { path: '', dots: [] }, 'never a line at zero')
  t.end()
})
