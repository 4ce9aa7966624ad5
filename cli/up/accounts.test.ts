import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { addCounts, noCounts, type Counts } from '#store/store'
import { accountOf, noAccounts, openAccount } from './accounts.ts'

const stored = (count: number): Counts => ({ ...noCounts, received: count, stored: count })

test('a second run over the same sources says the same, whatever came between', async (t) => {
  let accounts = openAccount(noAccounts, 'a', noCounts)
  t.strictSame(accountOf(accounts, 'a', stored(2470)), stored(2470))
  accounts = openAccount(accounts, 'b', stored(2470))
  t.strictSame(accountOf(accounts, 'b', stored(2570)), stored(100))
  accounts = openAccount(accounts, 'a', stored(2570))
  t.strictSame(accountOf(accounts, 'a', stored(2570)), stored(2470))
})

test('a ledger that was deleted takes its counts with it', async (t) => {
  const accounts = openAccount(openAccount(noAccounts, 'a', noCounts), 'b', stored(50))
  t.strictSame(accountOf(openAccount(accounts, 'a', stored(3)), 'a', stored(3)), noCounts)
})

test('the accounts are the ledger, taken apart', async () => {
  const run = fc.record({ sources: fc.constantFrom('a', 'b', 'c'), rows: fc.nat(1000) })
  fc.assert(
    fc.property(fc.array(run), (runs) => {
      let accounts = noAccounts
      let ledger = noCounts
      const expected = new Map<string, Counts>()
      for (const { sources, rows } of runs) {
        if (accounts.open !== sources) accounts = openAccount(accounts, sources, ledger)
        ledger = addCounts(ledger, stored(rows))
        expected.set(sources, addCounts(expected.get(sources) ?? noCounts, stored(rows)))
      }
      for (const [sources, counts] of expected) assert.deepEqual(accountOf(accounts, sources, ledger), counts)
    }),
  )
})
