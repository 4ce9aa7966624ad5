import { test } from 'tap'
import { Report } from './report.ts'

function reportOf(text: string): { printed: string[]; report: Report } {
  const printed: string[] = []
  const report = new Report((line) => printed.push(line))
  for (const line of text.split('\n')) report.line(line)
  return { printed, report }
}

test('a passing file is one line, what it skipped, and what it says', async (t) => {
  const { printed, report } = reportOf(`TAP version 14
1..1
# Subtest: wire/ids.test.ts
    # Subtest: good
        # kills 6, lost 0
        ok 1 - should be equal
        1..1
    ok 1 - good # time=208.19ms

    ok 2 - long # SKIP no disk
    1..2
ok 1 - wire/ids.test.ts # time=1243.655ms

# { total: 2, pass: 1, skip: 1 }
# time=1400ms`)
  t.strictSame(printed, [
    'ok     wire/ids.test.ts (1.2 s)',
    '        # kills 6, lost 0',
    '    ok 2 - long # SKIP no disk',
  ])
  t.strictSame(report.totals, { passed: 1, failed: 0, skipped: 1 })
  t.ok(report.isComplete)
})

test('a failing file is told with its differences, and how it ended', async (t) => {
  const { printed, report } = reportOf(`# Subtest: a.test.ts
    # Subtest: bad
        not ok 1 - one is two
          ---
          diff: |
            -2
            +1
          ...
        ok 2 - fine
        1..2
    not ok 1 - bad # time=23.815ms
      ---
      at: here
      ...
    1..1
not ok 1 - a.test.ts # time=243.655ms
  ---
  command: node
  exitCode: 1
  signal: null
  ...

not ok 2 - timeout!
  ---
  expired: d.test.ts
  ...
# { total: 3, pass: 1, fail: 2 }`)
  t.strictSame(printed, [
    'FAILED a.test.ts (0.2 s)',
    '        not ok 1 - one is two',
    '          ---',
    '          diff: |',
    '            -2',
    '            +1',
    '          ...',
    '    not ok 1 - bad # time=23.815ms',
    '  exitCode: 1',
    'FAILED timeout!',
    '  expired: d.test.ts',
  ])
  t.strictSame(report.totals, { passed: 1, failed: 2, skipped: 0 })
})

test('a run that was cut off is not complete', async (t) => {
  const { report } = reportOf('TAP version 14\n# Subtest: a.test.ts\n    ok 1 - x')
  t.notOk(report.isComplete)
})
