import { test } from 'tap'

import { manualClock } from '#lib/clock'
import type { Ordinal } from '#wire/ids'

import { Members, type Member, type Probe } from './members.ts'

const ready = (ordinal: number): Probe => ({ kind: 'ready', ordinal: ordinal as Ordinal })
const draining = (ordinal: number): Probe => ({ kind: 'ready', ordinal: ordinal as Ordinal, draining: true })
/** Those of a name that is looked up, of which at least two are expected. */
const lookedUp = (...urls: string[]): Members => new Members(manualClock(1000), urls, () => {}, 2)
const sorted = (members: Members): number[] => members.ordinals.toSorted((a, b) => a - b)
const of = (members: Members, ordinal: number): Member | undefined => members.byOrdinal(ordinal as Ordinal)
const downOf = (members: Members, url: string): void => {
  for (let time = 0; time < 3; time++) members.probed(url, failed)
}
const failed: Probe = { kind: 'failed', reason: 'connection refused' }

function start(): { members: Members; changes: string[] } {
  const changes: string[] = []
  const members = new Members(manualClock(1000), ['http://a', 'http://b'], (member) => {
    changes.push(`${member.url} ${member.state}`)
  })
  return { members, changes }
}

test('a member is up with its first good answer, and the table is complete when all have told their number', (t) => {
  const { members, changes } = start()
  members.probed('http://a', ready(0))
  t.equal(members.complete, false)
  members.probed('http://b', ready(1))
  t.equal(members.complete, true)
  t.strictSame(changes, ['http://a up', 'http://b up'])
  t.end()
})

test('down after three failures in a row, up again after two answers', (t) => {
  const { members, changes } = start()
  members.probed('http://a', ready(0))
  members.requestFailed('http://a', 'reset')
  members.requestFailed('http://a', 'reset')
  members.requestAnswered('http://a')
  members.requestFailed('http://a', 'reset')
  members.requestFailed('http://a', 'reset')
  t.strictSame(changes, ['http://a up'], 'never three in a row')
  members.probed('http://a', failed)
  t.match(members.byOrdinal(0 as Ordinal), { state: 'down', reason: 'connection refused' })
  members.probed('http://a', ready(0))
  t.match(members.byOrdinal(0 as Ordinal), { state: 'probing' })
  members.probed('http://a', ready(0))
  t.match(members.byOrdinal(0 as Ordinal), { state: 'up', reason: '' })
  t.strictSame(changes, ['http://a up', 'http://a down', 'http://a probing', 'http://a up'])
  t.end()
})

test('one that comes back and fails at once is down again', (t) => {
  const { members } = start()
  members.probed('http://a', ready(0))
  for (let time = 0; time < 3; time++) members.probed('http://a', failed)
  members.probed('http://a', ready(0))
  members.probed('http://a', failed)
  t.match(members.byOrdinal(0 as Ordinal), { state: 'down' })
  t.end()
})

test('one that cannot write is up for consumers, not for producers', (t) => {
  const { members } = start()
  members.probed('http://a', { kind: 'not_ready', ordinal: 0 as Ordinal, reason: 'the disk refused a write' })
  t.match(members.byOrdinal(0 as Ordinal), { state: 'up', writable: false, reason: 'the disk refused a write' })
  members.probed('http://a', ready(0))
  t.match(members.byOrdinal(0 as Ordinal), { state: 'up', writable: true, reason: '' })
  t.end()
})

test('two that claim one number: the second is not taken', (t) => {
  const { members } = start()
  members.probed('http://a', ready(0))
  members.probed('http://b', ready(0))
  t.match(members.all[1], {
    ordinal: undefined,
    state: 'down',
    reason: 'it says that it is broker 0, and so does http://a',
  })
  t.end()
})

test('nobody listens there: down at once, without further proof', (t) => {
  const { members } = start()
  members.probed('http://a', ready(0))
  members.requestFailed('http://a', 'connection refused', true)
  t.match(of(members, 0), { state: 'down', reason: 'connection refused' })
  t.end()
})

test('a broker that refuses records and is well is not marked as failed', (t) => {
  const { members } = start()
  members.probed('http://a', ready(0))
  for (let time = 0; time < 5; time++) members.refusedRecords('http://a', 'it is stopping')
  t.match(of(members, 0), { state: 'up', writable: false, reason: 'it is stopping' })
  members.probed('http://a', ready(0))
  t.match(of(members, 0), { state: 'up', writable: true, reason: '' })
  t.end()
})

test('a proxy that starts while a broker is away has the ring of the others, and need not wait for ever', (t) => {
  const { members } = start()
  t.strictSame(members.ordinals, [0, 1])
  members.probed('http://b', ready(1))
  members.probed('http://a', failed)
  t.strictSame(sorted(members), [0, 1], 'the silent one is the other of the two')
  t.equal(members.missing, 1)
  t.equal(members.complete, false)
  members.waitNoLonger()
  t.equal(members.complete, true)
  members.probed('http://a', ready(0))
  t.match(of(members, 0), { state: 'up' }, 'up with its first answer')
  t.strictSame(sorted(members), [0, 1])
  t.end()
})

test('a pod that comes back at another address is the same member', (t) => {
  const members = lookedUp('http://10.0.0.1', 'http://10.0.0.2')
  members.probed('http://10.0.0.1', ready(0))
  members.probed('http://10.0.0.2', ready(1))
  const before = of(members, 1)
  members.list(['http://10.0.0.1'])
  downOf(members, 'http://10.0.0.2')
  t.match(of(members, 1), { state: 'down' }, 'vanished: it stays, as down')
  t.strictSame(members.ordinals, [0, 1])
  members.list(['http://10.0.0.1', 'http://10.0.0.3'])
  t.equal(members.all.length, 3)
  for (let time = 0; time < 2; time++) members.probed('http://10.0.0.3', ready(1))
  t.equal(of(members, 1), before)
  t.match(before, { url: 'http://10.0.0.3', state: 'up' })
  t.equal(members.all.length, 2)
  t.end()
})

test('two that exchanged their addresses are found again', (t) => {
  const members = lookedUp('http://10.0.0.1', 'http://10.0.0.2')
  members.probed('http://10.0.0.1', ready(0))
  members.probed('http://10.0.0.2', ready(1))
  for (let round = 0; round < 4; round++) {
    members.probed('http://10.0.0.1', ready(1))
    members.probed('http://10.0.0.2', ready(0))
  }
  t.match(of(members, 0), { url: 'http://10.0.0.2', state: 'up' })
  t.match(of(members, 1), { url: 'http://10.0.0.1', state: 'up' })
  t.equal(members.all.length, 2)
  t.end()
})

test('an address that is given to a new broker says nothing of the one that had it', (t) => {
  const members = lookedUp('http://10.0.0.1', 'http://10.0.0.2')
  members.probed('http://10.0.0.1', ready(0))
  members.probed('http://10.0.0.2', ready(1))
  for (let round = 0; round < 3; round++) members.probed('http://10.0.0.2', ready(2))
  t.match(of(members, 2), { url: 'http://10.0.0.2', state: 'up' })
  t.match(of(members, 1), { state: 'down', reason: 'http://10.0.0.2 is broker 2 now' })
  t.strictSame(sorted(members), [0, 1, 2])
  t.end()
})

test('one that drains counts for no ring, and leaves when it is gone', (t) => {
  const members = lookedUp('http://10.0.0.1', 'http://10.0.0.2')
  members.probed('http://10.0.0.1', ready(0))
  members.probed('http://10.0.0.2', ready(1))
  members.probed('http://10.0.0.2', draining(1))
  t.match(of(members, 1), { state: 'draining', draining: true })
  t.strictSame(members.ordinals, [0])
  members.probed('http://10.0.0.2', ready(1))
  t.match(of(members, 1), { state: 'up', draining: false }, 'undone')
  t.strictSame(members.ordinals, [0, 1])
  members.probed('http://10.0.0.2', draining(1))
  downOf(members, 'http://10.0.0.2')
  t.match(of(members, 1), { state: 'down', draining: true }, 'listed: it is restarted')
  members.list(['http://10.0.0.1'])
  t.equal(of(members, 1), undefined)
  t.strictSame(members.ordinals, [0], 'nor is another one expected in its place')
  t.equal(members.missing, 0)
  members.list(['http://10.0.0.1', 'http://10.0.0.9'])
  members.probed('http://10.0.0.9', ready(1))
  t.strictSame(members.ordinals, [0, 1], 'one with its number joins anew')
  t.end()
})
