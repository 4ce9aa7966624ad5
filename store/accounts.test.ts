import { test } from 'tap'
import { accountsOf, findingsOf, readStoreSide } from './accounts.ts'
import { type LedgerRow, type Rows, type Store, totalsOf } from './store.ts'

const topic = (next: number) => ({
  name: 'telemetry',
  partitions: 1,
  durability: 'fsync',
  groups: ['collector'],
  logs: [{ broker: 0, partition: 2, log_id: 'a', first: 0, next, bytes: 1 }],
})
const status = (floor: number, given: object = {}) => ({
  topics: { telemetry: { groups: { collector: { logs: [{ broker: 0, partition: 2, floor }], ...given } }, ...given } },
})
const row = (given: Partial<LedgerRow> = {}): LedgerRow => ({
  topic: 'telemetry',
  log_id: 'a',
  broker: 0,
  partition: 2,
  next: 10,
  received: 10,
  stored: 6,
  duplicate: 1,
  not_reported: 2,
  dead: 1,
  ...given,
})
const findings = (
  next: number,
  floor: number,
  logs: readonly LedgerRow[],
  given: object = {},
  rows: Rows | undefined = { kept: 8, removed: 0 },
) => {
  const accounts = accountsOf({ topics: [topic(next)], status: status(floor, given), logs, group: 'collector' })
  const { stored, not_reported } = totalsOf(logs)
  return findingsOf(accounts, rows && { ...rows, storedMin: stored + not_reported, storedMax: stored + not_reported })
}

test('where all agree nothing is found, also in the middle of the work', async (t) => {
  t.strictSame(findings(10, 10, [row()]), [])
  t.strictSame(findings(12, 9, [row()]), [], 'two are pending, and one is written and not acknowledged')
  t.strictSame(findings(10, 10, [row()], {}, undefined), [], 'a store that cannot count')
  t.strictSame(findings(0, 0, [], {}, { kept: 0, removed: 0 }), [])
  const [account] = accountsOf({ topics: [topic(12)], status: status(9), logs: [row()], group: 'collector' })
  t.match(account, { produced: 12, pending: 2, removed: 0, counts: { received: 10 } })
  t.match(account?.logs, [{ log: '0/2', log_id: 'a', end: 12, floor: 9, settled: 10, counts: { stored: 6 } }])
})

test('a topic may have any name', async (t) => {
  const names = ['__proto__', 'constructor', 'telemetry']
  const { topics, stored } = totalsOf([...names, 'constructor'].map((topic) => row({ topic })))
  t.equal(stored, 24)
  t.strictSame(
    Object.entries(topics).map(([name, counts]) => [name, counts.stored]),
    [
      ['__proto__', 6],
      ['constructor', 12],
      ['telemetry', 6],
    ],
  )
})

test('each difference is found where it is', async (t) => {
  t.match(findings(12, 11, [row()]), [/^telemetry: 1 records below 0\/2\/11 are acknowledged .* not settled them$/])
  t.match(findings(9, 9, [row()]), [/settled 0\/2 up to 10, and the broker's log ends at 9$/])
  t.match(findings(10, 10, [row({ stored: 5 })], {}, { kept: 7, removed: 0 }), [/10 received, and .* are 9$/])
  t.match(findings(10, 10, [row()], {}, { kept: 7, removed: 0 }), [/^the store holds 7 rows; by its ledger it took 8$/])
  t.match(findings(10, 10, [row({ received: 9, stored: 5 })], {}, { kept: 7, removed: 0 }), [
    /1 records below what is settled were never received; the broker removed or lost none/,
  ])
  t.match(findings(10, 10, [row({ received: 11, duplicate: 2 })]), [/1 records more are received/])
})

test('what the broker can explain is no difference', async (t) => {
  const short = [row({ received: 9, stored: 5 })]
  t.strictSame(findings(10, 10, short, { lost: 1 }, { kept: 7, removed: 0 }), [])
  t.strictSame(findings(10, 10, short, { missing: { damaged: 1 } }, { kept: 7, removed: 0 }), [])
  t.strictSame(findings(10, 10, [row()], {}, { kept: 3, removed: 5 }), [], 'rows that the retention removed')
  const old = row({ log_id: 'b', next: 4, received: 4, stored: 4, duplicate: 0, not_reported: 0, dead: 0 })
  t.strictSame(findings(10, 10, [row(), old], {}, { kept: 12, removed: 0 }), [], 'a log that no broker has any more')
})

test('rows are counted while a collector writes: what lies between the ledger before and after is no difference', async (t) => {
  /** Takes as many rows with each look at its ledger. */
  const busy = (kept: number, unsettled: number): Pick<Store, 'totals' | 'rows'> => {
    let stored = 90
    return {
      totals: async () => totalsOf([row({ received: (stored += 10) + 4, stored })]),
      rows: async () => ({ kept, removed: 0, unsettled }),
    }
  }
  for (const [kept, unsettled, isFound] of [
    [102, 0, false],
    [112, 0, false],
    [101, 0, true],
    [113, 0, true],
    [115, 3, false],
  ] as const) {
    const { rows } = await readStoreSide(busy(kept, unsettled) as Store, true)
    t.equal(findingsOf([], rows).length > 0, isFound, `${kept} rows, ${unsettled} unsettled`)
  }
  t.equal((await readStoreSide(busy(0, 0) as Store, false)).rows, undefined)
})
