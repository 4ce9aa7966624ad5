import fc from 'fast-check'
import { test } from 'tap'
import { sparkline } from './sparkline.ts'

test('the least is the lowest block, the greatest the highest, and what is not reported a gap', (t) => {
  t.equal(sparkline([0, 1, 2, 3, 4, 5, 6, 7], 60), '▁▂▃▄▅▆▇█')
  t.equal(sparkline([-5, null, 5], 60), '▁ █')
  t.equal(sparkline([3, 3, 3], 60), '▄▄▄', 'what never moves is a line in the middle')
  t.equal(sparkline([], 60), '')
  t.equal(sparkline([null], 60), ' ')
  t.equal(sparkline([0, 0, 8, 8, 4, 4], 3), '▁█▅', 'neighbours become their mean')
  t.end()
})

test('it is never wider than asked for, and rises where the values do', (t) => {
  const series = fc.array(fc.option(fc.integer({ min: -1e6, max: 1e6 })), { maxLength: 300 })
  fc.assert(
    fc.property(series, fc.integer({ min: 1, max: 80 }), (values, width) => {
      const line = sparkline(values, width)
      if (line.length !== Math.min(values.length, width)) return false
      const rising = sparkline(
        values.map((_, at) => at),
        width,
      )
      return rising === rising.split('').toSorted().join('')
    }),
  )
  t.end()
})
