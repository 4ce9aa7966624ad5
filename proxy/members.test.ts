import { test } from 'tap'

import { manualClock } from '#lib/clock'
import type { Ordinal } from '#wire/ids'

import { Members, type Probe } from './members.ts'

const ready = (ordinal: number): Probe => ({ kind: 'ready', ordinal: ordinal as Ordinal })
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
