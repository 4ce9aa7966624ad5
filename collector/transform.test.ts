import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { transform, Transformer } from './transform.ts'

test('a record comes out under its canonical name, what is none with the reason', async (t) => {
  const gpu = { time: '2025-07-18T20:42:34Z', uuid: 'GPU-a', metric: 'DCGM_FI_DEV_GPU_UTIL', value: 100 }
  t.match(transform(JSON.stringify(gpu)), { kind: 'gpu', ...gpu })
  t.match(transform(JSON.stringify({ ...gpu, metric: 'DCGM_FI_DEV_POWER_USAGE', value: 2_147_483_632 })), {
    value: null,
  })
  t.match(transform('{"time":'), { refused: /^not JSON: / })
  t.match(transform('[]'), { refused: /want a JSON object/ })
  t.match(transform(JSON.stringify({ ...gpu, time: 'yesterday' })), { refused: /^time is "yesterday"/ })
})

test('what is read by comparing is what is read by parsing, whatever the texts are, and in whatever order', async (t) => {
  const label = fc.constantFrom('value', 'time', 'a', 'x"y', '{"kind":"gpu","time":"')
  const value = fc.oneof(
    fc.constantFrom(
      '1',
      '-0',
      '01',
      '1e3',
      '1.',
      'null',
      'true',
      '"5"',
      '{}',
      '',
      '2147483632',
      '1e999',
      '0.1234567890123',
    ),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  )
  const time = fc.constantFrom(
    '2025-07-18T20:42:34Z',
    '2025-07-18T20:42:35Z',
    '1970-01-01T00:00:00Z',
    'now',
    'a\\"b',
    '',
  )
  const series = fc.record({
    metric: fc.constantFrom('DCGM_FI_DEV_GPU_UTIL', 'DCGM_FI_DEV_POWER_USAGE', 'other'),
    slice: fc.constantFrom(undefined, '', '3'),
    labels: fc.dictionary(label, label),
    // Names that stand twice, and what is no record.
    extra: fc.constantFrom(
      '',
      ',"value":7',
      ',"time":"2025-07-18T00:00:00Z"',
      ',"kind":"metric"',
      ',"labels":{"value":3}',
      ',',
    ),
    labelsFirst: fc.boolean(),
  })
  const textOf = ({ metric, slice, labels, extra, labelsFirst }: Series, time: string, value: string): string => {
    const own = `,"labels":${JSON.stringify(labels)}`
    const slices = slice === undefined ? '' : `,"gpu_i_id":"${slice}"`
    const names = `,"uuid":"GPU-a"${slices},"metric":"${metric}"${labelsFirst ? own : ''}`
    return `{"kind":"gpu","time":"${time}"${names},"value":${value}${labelsFirst ? '' : own}${extra}}`
  }
  type Series = { metric: string; slice: string | undefined; labels: object; extra: string; labelsFirst: boolean }
  const plain: Series = { metric: 'other', slice: undefined, labels: {}, extra: '', labelsFirst: false }
  const row = fc.tuple(fc.nat(4), time, value)
  fc.assert(
    fc.property(fc.array(series, { minLength: 5, maxLength: 5 }), fc.array(row, { maxLength: 20 }), (all, rows) => {
      const transformer = new Transformer()
      // Twice, so that what followed the last time follows again.
      for (const [which, time, value] of [...rows, ...rows, ...rows]) {
        const text = textOf(all[which] as Series, time, value)
        assert.deepEqual(transformer.transform(text), transform(text))
      }
    }),
    // An empty time where none was read before it: once taken for the last one that was read.
    {
      numRuns: 300,
      examples: [
        [
          Array.from({ length: 5 }, () => plain),
          [
            [2, '2025-07-18T20:42:34Z', '0'],
            [2, '', '1'],
          ],
        ],
      ],
    },
  )
  t.pass()
})
