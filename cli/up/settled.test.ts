import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { noCounts, type Counts } from '#store/store'
import type { Figures } from './figures.ts'
import { ProgressText } from './progress_text.ts'
import { isSettled, settledLine } from './settled.ts'

const route = { topics: ['telemetry', 'transfers'], group: 'collector' }

function figures(change: {
  lag?: number
  done?: boolean
  pending?: number
  known?: boolean
  stored?: number
  complete?: boolean
}): Figures {
  const { lag = 0, done = true, pending = 0, known = true, stored = 10, complete = true } = change
  const groups = known ? { collector: { lag, in_flight: 0 } } : {}
  return {
    streamer: { sources: [], read: 10, dead: 0, done },
    broker: { complete, topics: { telemetry: { records: 10, groups }, 'telemetry.dead': { records: 3, groups: {} } } },
    collector: { ...noCounts, received: 10, stored, pending },
  }
}

test('settled is: read to the end, nothing in the log, nothing in hand, and a ledger that adds up', async (t) => {
  t.ok(isSettled(figures({}), route))
  t.notOk(isSettled(figures({ done: false }), route))
  t.notOk(isSettled(figures({ lag: 1 }), route))
  t.notOk(isSettled(figures({ complete: false }), route), 'a broker that is down may hold records')
  t.notOk(isSettled(figures({ pending: 1 }), route))
  t.notOk(isSettled(figures({ stored: 9 }), route))
  t.notOk(isSettled(figures({ known: false }), route), 'records that no group has seen yet')
  t.notOk(isSettled({ ...figures({}), streamer: undefined }, route))
})

test('the line names only what there is', async (t) => {
  t.equal(
    settledLine({ read: 2470, dead: 0 }, { ...noCounts, received: 2470, stored: 2470 }),
    'read 2470, stored 2470, dead-lettered 0',
  )
  t.equal(
    settledLine({ read: 10, dead: 1 }, { received: 9, stored: 4, duplicate: 2, not_reported: 1, dead: 2 }),
    'read 10, stored 4, dead-lettered 3, duplicate 2, not reported 1',
  )
})

test('the line always adds up', async () => {
  const counts = fc.record({ stored: fc.nat(), duplicate: fc.nat(), not_reported: fc.nat(), dead: fc.nat() })
  fc.assert(
    fc.property(counts, fc.nat(), fc.nat(), (of, read, dead) => {
      fc.pre(dead <= read)
      const account: Counts = { ...of, received: of.stored + of.duplicate + of.not_reported + of.dead }
      const said = settledLine({ read, dead }, account)
      const count = (what: string) => Number(new RegExp(`${what} (\\d+)`).exec(said)?.[1] ?? 0)
      const became = ['stored', 'duplicate', 'not reported', 'dead-lettered', 'settled by runs with other sources']
      const sum = became.reduce((total, what) => total + count(what), 0)
      assert.equal(count('read') + count('of these from elsewhere'), sum, said)
    }),
  )
})

test('while the store is away the progress says so, and how far the rest is', async (t) => {
  const { collector: _, ...others } = figures({ lag: 7 })
  const text = new ProgressText(route).waiting({ ...others, trouble: 'the store: no answer' })
  t.equal(text, 'read 10, lag 7, nothing is stored now: the store: no answer')
})
