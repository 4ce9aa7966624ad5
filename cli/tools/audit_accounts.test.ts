import { test } from 'tap'
import type { LedgerRow } from '#store/store'
import { accountsOf, findingsOf } from './audit_accounts.ts'

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
  rows: { kept: number; removed: number } | undefined = { kept: 8, removed: 0 },
) => findingsOf(accountsOf({ topics: [topic(next)], status: status(floor, given), logs, group: 'collector' }), rows)

test('where all agree nothing is found, also in the middle of the work', async (t) => {
  t.strictSame(findings(10, 10, [row()]), [])
  t.strictSame(findings(12, 9, [row()]), [], 'two are pending, and one is written and not acknowledged')
  t.strictSame(findings(10, 10, [row()], {}, undefined), [], 'a store that cannot count')
  t.strictSame(findings(0, 0, [], {}, { kept: 0, removed: 0 }), [])
  const [account] = accountsOf({ topics: [topic(12)], status: status(9), logs: [row()], group: 'collector' })
  t.match(account, { produced: 12, pending: 2, removed: 0, counts: { received: 10 } })
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
