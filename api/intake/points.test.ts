import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { identityOf } from '#telemetry/identity'
import type { MetricRecord } from '#telemetry/record'
import { epochNs, parseTime } from '#telemetry/time'
import { pointsOf, type Points, type Precision, precisions } from './points.ts'

const now = '2025-07-18T20:43:00Z'
/** All of a text, in one part. */
function read(text: string, precision: Precision = 'ns'): Points {
  const [all, ...others] = [...pointsOf(text, { precision, now, partChars: 1_000_000, isUtf8: true })]
  assert.ok(all !== undefined && others.length === 0)
  return all
}
const recordsOf = ({ records }: Points) => records.map(({ data }) => JSON.parse(data) as MetricRecord)

test('each number is a record; texts and truths are letters, beside which the numbers are kept', (t) => {
  const points = read('system,host=a load1=0.5,uptime=7i,up=true,format="1 day" 1752871354000000001\ncpu v=1')
  t.same(recordsOf(points), [
    { kind: 'metric', time: '2025-07-18T20:42:34.000000001Z', metric: 'system_load1', value: 0.5, tags: { host: 'a' } },
    { kind: 'metric', time: '2025-07-18T20:42:34.000000001Z', metric: 'system_uptime', value: 7, tags: { host: 'a' } },
    { kind: 'metric', time: now, metric: 'cpu_v', value: 1, tags: {} },
  ])
  t.same(points.letters, [
    {
      reason: 'field up is true: only numbers are stored; field format is a text: only numbers are stored',
      line: 1,
      row: 'system,host=a load1=0.5,uptime=7i,up=true,format="1 day" 1752871354000000001',
    },
  ])
  t.same([points.lines, points.unreadable, points.records[0]?.key], [2, 0, 'system_load1'])
  t.end()
})

test('what cannot be a record says why', (t) => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['cpu v=', /field "v" is ""/],
    ['cpu v=1 -1', /the timestamp -1 in ns is not between 1970 and 2261/],
    ['cpu v=1 9999999999999999999', /not between/],
    [`cpu ${'x'.repeat(600)}=1`, /metric has 604 characters: want 1 to 512/],
    [`cpu,a=${'x'.repeat(70_000)} v=1`, /measurement and tags have 70006 characters: want 65535 at most/],
    ['cpu v=1,v="x"', /v is there twice: the last one counts; field v is a text/],
    [`cpu ${Array.from({ length: 30 }, (_, index) => `f${index}=t`).join()}`, /f9 is true.*; and 20 more$/],
  ]
  for (const [line, reason] of wrong) {
    const points = read(`${line}\nmem used=2`)
    t.match(points.letters[0]?.reason, reason, line.slice(0, 40))
    t.same([points.letters.length, points.records.length], [1, 1], 'and its neighbour is taken')
    t.ok((points.letters[0]?.row.length ?? Infinity) <= 8192)
  }
  t.same(
    recordsOf(read('cpu v=1,v=2')).map(({ value }) => value),
    [2],
  )
  t.match(read('cpu v=1 1752871354', 'h').letters[0]?.reason, /is precision= right\?/)
  t.end()
})

test('timestamps in every precision, to the nanosecond', async () => {
  const nsOf: Record<Precision, bigint> = {
    ns: 1n,
    n: 1n,
    us: 1000n,
    u: 1000n,
    µ: 1000n,
    ms: 10n ** 6n,
    s: 10n ** 9n,
    m: 60n * 10n ** 9n,
    h: 3600n * 10n ** 9n,
  }
  fc.assert(
    fc.property(
      fc.constantFrom(...precisions),
      fc.bigInt({ min: 0n, max: 9_214_646_399_999_999_999n }),
      (precision, ns) => {
        const count = ns / nsOf[precision]
        const [record] = recordsOf(read(`m f=1 ${count}`, precision))
        const time = parseTime(record?.time ?? '')
        assert.ok(time !== undefined)
        assert.equal(epochNs(time), count * nsOf[precision])
      },
    ),
  )
})

test('a line that is sent again is the same points', async () => {
  const line = 'cpu,host=a,cpu=cpu0 usage_idle=98.5,usage_user=1i 1752871354000000000'
  const identities = [line, `${line}\n`, line.replace(',host=a,cpu=cpu0', ',cpu=cpu0,host=a')].map((text) =>
    recordsOf(read(text)).map(identityOf),
  )
  assert.deepEqual(identities[1], identities[0])
  assert.deepEqual(identities[2], identities[0])
})

test('a text comes in parts, and all of it comes', async (t) => {
  const text = Array.from({ length: 50 }, (_, index) => `m,host=h${index} a=1,b=${index % 7 === 0 ? 'x' : 2},c=3`).join(
    '\n',
  )
  const whole = read(text)
  const parts = [...pointsOf(text, { precision: 'ns', now, partChars: 300, isUtf8: true })]
  t.ok(parts.length > 20 && parts.every(({ records }) => records.length <= 4))
  t.same(
    parts.flatMap(({ records }) => records),
    whole.records,
  )
  t.same(
    parts.flatMap(({ letters }) => letters),
    whole.letters,
  )
  const sum = (of: 'lines' | 'unreadable') => parts.reduce((total, part) => total + part[of], 0)
  t.same([sum('lines'), sum('unreadable')], [50, 8])
  const one = `m,tag=${'x'.repeat(60_000)} ${Array.from({ length: 100 }, (_, index) => `f${index}=1`).join()}`
  t.ok(
    [...pointsOf(one, { precision: 'ns', now, partChars: 500_000, isUtf8: true })].every(
      ({ chars }) => chars < 600_000,
    ),
    'a line is cut, too',
  )
})

test('a line that is not UTF-8 is a letter; U+FFFD that was sent is one of the text', (t) => {
  const text = 'm,a=\ufffd v=1\nm,a=b v=1'
  const options = { precision: 'ns', now, partChars: 1_000_000 } as const
  const [bad] = [...pointsOf(text, { ...options, isUtf8: false })]
  t.match(bad, { records: { length: 1 }, letters: [{ reason: 'it is not UTF-8', line: 1 }] })
  const [sound] = [...pointsOf(text, { ...options, isUtf8: true })]
  t.match(sound, { records: { length: 2 }, letters: [] })
  t.end()
})
