import { test } from 'tap'
import { formatBytes, formatTable, printable } from './table.ts'

test('text stands left, numbers right, and what is not there is a dash', async (t) => {
  const rows = [
    { name: 'telemetry', lag: 1234567 },
    { name: 'x', lag: null },
  ]
  t.equal(
    formatTable(
      [
        { head: 'TOPIC', of: (row) => row.name },
        { head: 'LAG', of: (row) => row.lag },
      ],
      rows,
    ),
    'TOPIC            LAG\ntelemetry  1,234,567\nx                  -\n',
  )
})

test('a value cannot move the cursor, forge a line or turn the text around', async (t) => {
  t.equal(printable('a\u001b[2J\nb\u202ec'), 'a\\u001b[2J\\u000ab\\u202ec')
  t.equal(printable('Zürich 東京'), 'Zürich 東京')
})

test('sizes in the unit that fits', async (t) => {
  t.strictSame([0, 1023, 1024, 1536, 20 * 1024 * 1024].map(formatBytes), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '20 MiB',
  ])
})
