import { test } from 'tap'
import { bars } from './bars.ts'
import { markdown } from './markdown.ts'
import { plot, short } from './plot.ts'

/** The points of each line of a plot. */
function linesOf(svg: string): number[][][] {
  return [...svg.matchAll(/<polyline[^>]*points="([^"]*)"/g)].map(([, points = '']) =>
    points.split(' ').map((point) => point.split(',').map(Number)),
  )
}

test('ten times as many records are as far apart everywhere on logarithmic axes', (t) => {
  const svg = plot(
    't',
    'x',
    [
      {
        name: 'a',
        points: [
          [1, 1e4],
          [10, 1e5],
          [100, 1e6],
        ],
      },
    ],
    { ticks: [1, 10, 100], isLogY: true },
  )
  const [[first = [], second = [], third = []] = []] = linesOf(svg)
  const steps = (axis: 0 | 1): number[] => [second[axis]! - first[axis]!, third[axis]! - second[axis]!]
  for (const axis of [0, 1] as const) t.ok(Math.abs(steps(axis)[0]! - steps(axis)[1]!) < 0.2, `axis ${axis}`)
  t.ok(second[1]! < first[1]!, 'more is higher up')
  t.match(svg, /<text[^>]*>10k<\/text>/, 'the decades are named')
  t.end()
})

test('a linear plot begins at 0, and none of it leaves the picture', (t) => {
  const svg = plot('t', 'x', [
    {
      name: 'a',
      points: [
        [3, 0],
        [30, 7.3],
        [300, 2],
      ],
    },
  ])
  for (const [x = NaN, y = NaN] of linesOf(svg)[0] ?? []) t.ok(x >= 0 && x <= 720 && y >= 0 && y <= 360, `${x},${y}`)
  t.equal(linesOf(svg)[0]?.[0]?.[1], 360 - 44, '0 lies on the axis')
  t.end()
})

test('a bar is as long as its share of the longest one, and ours of one name have one colour', (t) => {
  const svg = bars('t', [
    {
      title: 'one',
      bars: [
        { name: 'a', value: 100, isOurs: true },
        { name: 'b', value: 50, isOurs: true },
      ],
    },
    {
      title: 'two',
      bars: [
        { name: 'c', value: 10, isOurs: false },
        { name: 'b', value: 25, isOurs: true },
      ],
    },
  ])
  const found = [...svg.matchAll(/class="bar (c\d)" x1="(\d+)"[^>]* x2="([\d.]+)"/g)]
  const lengths = found.map(([, , from, to]) => Number(to) - Number(from))
  t.same(
    lengths.map((each) => each / lengths[0]!),
    [1, 0.5, 0.1, 0.25],
  )
  t.same(
    found.map(([, colour]) => colour),
    ['c0', 'c1', 'c4', 'c1'],
  )
  t.end()
})

test('a table has as many cells in each row as in its head; numbers are short', (t) => {
  t.equal(markdown(['work', 'x'], [['a', '1']]), '| work | x |\n| --- | ---: |\n| a | 1 |')
  t.same([7, 1234, 23_456, 2_345_678].map(short), ['7', '1230', '23.5k', '2.35M'])
  t.end()
})
