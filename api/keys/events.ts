/**
 * What happens to keys, as events, and what a key is after them. An event is a record of the topic `_keys`:
 *
 *     {"event":"created","event_id":"…","time":"2026-01-01T00:00:00.000Z","key":"4hX…","by":"key-1a2b3c4d","name":"grafana",
 *      "scopes":["read"],"topics":null,"hosts":["h1"],"sites":null,"expires":null,"sha256":"…"}
 *     {"event":"rotated",…,"sha256":"…","until":"2026-01-02T00:00:00.000Z"}      the secret before works until then
 *     {"event":"expired",…,"expires":"2026-01-02T00:00:00.000Z"}                 it ends then, or earlier if it was to
 *     {"event":"revoked",…}
 *
 * While a broker is away the events of a key may stand in two logs, and be read in any order, and twice. So what a key is
 * depends on the set of its events alone: a revocation wins over everything, the earliest end wins over later ones, and
 * secrets follow one another by the time of their event and its id.
 */

import type { Static } from 'typebox'
import { checkOf } from '../schemas/check.ts'
import { Type } from '../schemas/type.ts'

const names = Type.Union([Type.Null(), Type.Array(Type.String())])
const moment = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$' })
const sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' })
const common = {
  event_id: Type.String({ minLength: 1 }),
  time: moment,
  key: Type.String({ minLength: 1 }),
  by: Type.String(),
}

const created = Type.Object({
  event: Type.Literal('created'),
  ...common,
  name: Type.String(),
  scopes: Type.Array(Type.Enum(['read', 'produce', 'consume', 'admin'])),
  topics: names,
  hosts: names,
  sites: names,
  expires: Type.Union([Type.Null(), moment]),
  sha256,
})
const rotated = Type.Object({ event: Type.Literal('rotated'), ...common, sha256, until: moment })
const expired = Type.Object({ event: Type.Literal('expired'), ...common, expires: moment })
const revoked = Type.Object({ event: Type.Literal('revoked'), ...common })

export type Created = Static<typeof created>
export type Rotated = Static<typeof rotated>
export type Expired = Static<typeof expired>
export type Revoked = Static<typeof revoked>
export type KeyEvent = Created | Rotated | Expired | Revoked

/** An event that this version cannot read, of a key that it can. */
export interface Foreign {
  readonly event: 'foreign'
  readonly key: string
}

const event = checkOf(Type.Union([created, rotated, expired, revoked]))
const ofKey = checkOf(Type.Object({ key: Type.String({ minLength: 1 }) }))

/** Reads a record of the topic; `undefined` for what is of no key at all. */
export function readEvent(text: string): KeyEvent | Foreign | undefined {
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch {
    return undefined
  }
  if (event.fits(given)) return given
  return ofKey.fits(given) ? { event: 'foreign', key: given.key } : undefined
}

/** What is known of a key. */
export interface KeyState {
  readonly id: string
  readonly created: Created | undefined
  /** The last two, in order: more of them never matter again. */
  readonly rotations: readonly Rotated[]
  /** The one that ends it earliest. */
  readonly expired: Expired | undefined
  /** The first one. */
  readonly revoked: Revoked | undefined
  /** An event of a later version may have narrowed what the key may do: who cannot read it must not let the key in. */
  readonly isForeign: boolean
}

/** What a key is after one more event. The order of events, and how often each comes, makes no difference. */
export function fold(before: KeyState | undefined, event: KeyEvent | Foreign): KeyState {
  const state = before ?? {
    id: event.key,
    created: undefined,
    rotations: [],
    expired: undefined,
    revoked: undefined,
    isForeign: false,
  }
  switch (event.event) {
    case 'created':
      return { ...state, created: first(state.created, event, inOrder) }
    case 'rotated': {
      const others = state.rotations.filter(({ event_id }) => event_id !== event.event_id)
      return { ...state, rotations: [...others, event].toSorted(inOrder).slice(-2) }
    }
    case 'expired': {
      const byEnd = (a: Expired, b: Expired) => byText(a.expires, b.expires) || inOrder(a, b)
      return { ...state, expired: first(state.expired, event, byEnd) }
    }
    case 'revoked':
      return { ...state, revoked: first(state.revoked, event, inOrder) }
    case 'foreign':
      return { ...state, isForeign: true }
  }
}

/** A secret of a key, and when it ends, in ms since 1970. */
export interface LiveSecret {
  readonly digest: Buffer
  readonly untilMs: number
}

/** The secrets that work at a moment: none, the newest, or that and the one before while its grace lasts. */
export function secretsOf(state: KeyState, nowMs: number): readonly LiveSecret[] {
  const { created, rotations, revoked, isForeign } = state
  if (created === undefined || revoked !== undefined || isForeign) return []
  const endMs = endMsOf(state)
  const [before = created, newest] = rotations.length === 1 ? [created, rotations[0]] : rotations
  const chain =
    newest === undefined
      ? [{ ...created, untilMs: endMs }]
      : [
          { ...before, untilMs: Math.min(endMs, Date.parse(newest.until)) },
          { ...newest, untilMs: endMs },
        ]
  return chain
    .filter(({ untilMs }) => untilMs > nowMs)
    .map(({ sha256: digest, untilMs }) => ({ digest: Buffer.from(digest, 'hex'), untilMs }))
}

/** When a key ends by itself, in ms since 1970; `Infinity`: never. */
export function endMsOf({ created, expired }: KeyState): number {
  const ends = [created?.expires, expired?.expires].flatMap((text) =>
    typeof text === 'string' ? [Date.parse(text)] : [],
  )
  return Math.min(Infinity, ...ends)
}

/** When the last thing happened to it, in ms since 1970. */
export function lastMsOf({ created, rotations, expired, revoked }: KeyState): number {
  const all = [created, ...rotations, expired, revoked]
  return Math.max(0, ...all.flatMap((event) => (event === undefined ? [] : [Date.parse(event.time)])))
}

type Placed = Pick<KeyEvent, 'time' | 'event_id'>

function first<Event>(a: Event | undefined, b: Event, order: (a: Event, b: Event) => number): Event {
  return a !== undefined && order(a, b) <= 0 ? a : b
}

function inOrder(a: Placed, b: Placed): number {
  return byText(a.time, b.time) || byText(a.event_id, b.event_id)
}

/** Times of one form are in the order of their texts. */
function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
