/** The events of keys, whatever order they come in, against an obvious reading of them; and what a key looks like. */

import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { test } from 'tap'
import { type Created, fold, type KeyEvent, type KeyState, readEvent, secretsOf } from './events.ts'
import { Keyring, stateOf } from './keyring.ts'
import { keyIdOf, newKeyId, newKeyText } from './text.ts'

const startMs = Date.parse('2026-01-01T00:00:00Z')
const timeOf = (minute: number) => new Date(startMs + minute * 60_000).toISOString()
const shaOf = (secret: string) => createHash('sha256').update(secret).digest('hex')
const data = { gpus: 'telemetry', transfers: 'transfers' }

const created = (secret: string, more: Partial<Created> = {}): Created => ({
  event: 'created',
  event_id: 'a',
  time: timeOf(0),
  key: 'k',
  by: 'somebody',
  name: 'n',
  scopes: ['read'],
  topics: null,
  hosts: null,
  sites: null,
  expires: null,
  sha256: shaOf(secret),
  ...more,
})

test('a key is long, of one form, and a slip of the pen is none', (t) => {
  const id = newKeyId()
  const text = newKeyText(id)
  t.match(text, /^pnk_[0-9A-Za-z]{10}_[0-9A-Za-z]{46}$/)
  t.equal(keyIdOf(text), id)
  t.not(newKeyText(id), text)
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.constantFrom('0', 'a', 'Z', '_', ' ', 'é'), (place, letter) => {
      const slip = text.slice(0, place) + letter + text.slice(place + 1)
      return slip === text || keyIdOf(slip) === undefined
    }),
  )
  for (const wrong of ['', 'pnk_', `${text} `, `${text}0`, text.slice(1), text.toUpperCase()]) {
    t.equal(keyIdOf(wrong), undefined, JSON.stringify(wrong))
  }
  t.end()
})

/** Events of one key, at minutes that are often the same; ids are drawn from few, so that some are drawn twice. */
const anyEvents = fc.uniqueArray(
  fc.record({
    kind: fc.constantFrom('rotated', 'rotated', 'expired', 'revoked'),
    minute: fc.nat(6),
    end: fc.nat(9),
    event_id: fc.string({ minLength: 1, maxLength: 1 }),
  }),
  { selector: ({ event_id }) => event_id, maxLength: 6 },
)

type Drawn = (typeof anyEvents)['generate'] extends (...args: never[]) => { value: infer T } ? T : never

const eventOf = ({ kind, minute, end, event_id }: Drawn[number]): KeyEvent => {
  const common = { event_id: `b${event_id}`, time: timeOf(minute), key: 'k', by: 'somebody' }
  if (kind === 'rotated') return { event: 'rotated', ...common, sha256: shaOf(event_id), until: timeOf(end) }
  if (kind === 'expired') return { event: 'expired', ...common, expires: timeOf(end) }
  return { event: 'revoked', ...common }
}

/** What works at a minute, read as a person would: the events in order, one after the other. */
function obvious(events: readonly KeyEvent[], minute: number): string[] {
  const text = (event: KeyEvent) => `${event.time} ${event.event_id}`
  let live: { sha256: string; until: string }[] = []
  let end = timeOf(1_000)
  let isRevoked = false
  for (const event of events.toSorted((a, b) => (text(a) < text(b) ? -1 : 1))) {
    if (event.event === 'created') live = [{ sha256: event.sha256, until: '9' }]
    if (event.event === 'rotated')
      live = [...live.slice(-1).map((one) => ({ ...one, until: event.until })), { ...event, until: '9' }]
    if (event.event === 'expired' && event.expires < end) end = event.expires
    if (event.event === 'revoked') isRevoked = true
  }
  const now = timeOf(minute)
  return isRevoked || end <= now ? [] : live.filter(({ until }) => until > now).map(({ sha256 }) => sha256)
}

test('what a key is depends on its events alone, not on their order, and not on how often each comes', (t) => {
  fc.assert(
    fc.property(anyEvents, fc.infiniteStream(fc.nat()), fc.nat(10), (drawn, picks, minute) => {
      const events = [created('first'), ...drawn.map(eventOf)]
      // Some come twice, and all in any order.
      const twice = [...events, ...events.filter(() => (picks.next().value as number) % 2 === 0)]
      const mixed = twice.map((event) => [picks.next().value as number, event] as const).toSorted(([a], [b]) => a - b)
      const state = mixed.reduce<KeyState | undefined>(
        (before, [, event]) => fold(before, event),
        undefined,
      ) as KeyState
      const works = secretsOf(state, startMs + minute * 60_000).map(({ digest }) => digest.toString('hex'))
      t.same(works, obvious(events, minute))
      const other = events.reduce<KeyState | undefined>(fold, undefined) as KeyState
      t.same(state, other, 'and the states are one')
    }),
  )
  t.end()
})

test('two secrets at most, and none after a revocation, whatever comes after it', (t) => {
  fc.assert(
    fc.property(anyEvents, fc.nat(10), (drawn, minute) => {
      const events = [created('first'), ...drawn.map(eventOf)]
      const state = events.reduce<KeyState | undefined>(fold, undefined) as KeyState
      const nowMs = startMs + minute * 60_000
      t.ok(secretsOf(state, nowMs).length <= 2)
      const revoked = fold(
        fold(undefined, { event: 'revoked', event_id: 'r', time: timeOf(0), key: 'k', by: 'b' }),
        events[0] as KeyEvent,
      )
      const after = events.reduce<KeyState>(fold, revoked)
      t.same(secretsOf(after, nowMs), [])
      t.equal(stateOf(after, nowMs), 'revoked')
    }),
  )
  t.end()
})

test('the ring: found by its secret, bound as it was made, ended by time and by event', (t) => {
  let nowMs = startMs
  const ring = new Keyring(data, () => nowMs)
  const text = newKeyText('k')
  // Made with an id of the right form, since a key is found by it.
  const id = newKeyId()
  const key = newKeyText(id)
  t.equal(ring.find(key), undefined, 'of nobody yet')
  ring.apply(created(key, { key: id, hosts: ['h1'], expires: timeOf(60) }))
  const found = ring.find(key)
  t.match(found, { id, scopes: ['read'] })
  t.same(
    [found?.bounds.seesHost('h1'), found?.bounds.seesHost('h2'), found?.bounds.seesSite('S')],
    [true, false, false],
  )
  t.equal(ring.find(newKeyText(id)), undefined, 'another secret of that key')
  t.equal(ring.find(text), undefined)
  t.equal(ring.lastUsedMs(id), startMs)

  const second = newKeyText(id)
  ring.apply({
    event: 'rotated',
    event_id: 'b',
    time: timeOf(1),
    key: id,
    by: 'x',
    sha256: shaOf(second),
    until: timeOf(10),
  })
  nowMs = startMs + 5 * 60_000
  t.ok(ring.find(key) && ring.find(second), 'both work')
  nowMs = startMs + 10 * 60_000
  t.equal(ring.find(key), undefined, 'until the grace is over')
  t.equal(found?.isLive(), false, 'and what was opened with the first ends')
  const last = ring.find(second)
  let changes = 0
  ring.onChange(() => changes++)
  ring.apply({ event: 'revoked', event_id: 'c', time: timeOf(10), key: id, by: 'x' })
  t.same([ring.find(second), last?.isLive(), changes], [undefined, false, 1])
  t.end()
})

test('an event of a later version stops its key, and what is no event does nothing', (t) => {
  const ring = new Keyring(data, () => startMs)
  const id = newKeyId()
  const key = newKeyText(id)
  ring.apply(created(key, { key: id }))
  t.ok(ring.find(key))
  const narrowed = readEvent(JSON.stringify({ event: 'narrowed', event_id: 'z', time: timeOf(1), key: id, scopes: [] }))
  t.same(narrowed, { event: 'foreign', key: id })
  if (narrowed !== undefined) ring.apply(narrowed)
  t.equal(ring.find(key), undefined)
  for (const text of ['', 'null', '[]', '{}', '{"event":"revoked"}', '{"key":3}', '{"key":""}', 'x']) {
    t.equal(readEvent(text), undefined, text)
  }
  const event = created(key)
  t.same(readEvent(JSON.stringify({ ...event, later: 'member' })), { ...event, later: 'member' })
  t.same(readEvent(JSON.stringify({ ...event, scopes: ['root'] })), { event: 'foreign', key: 'k' })
  t.end()
})
