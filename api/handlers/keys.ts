/** `/keys`: each change is an event of the topic, and is answered when the broker has it. */

import { randomUUID } from 'node:crypto'
import { parseDuration } from '#lib/quantity'
import { isName } from '#wire/ids'
import { Problem } from '#wire/problems'
import { cursorOf, readCursor } from '../ask/cursor.ts'
import { at, bad } from '../ask/parameters.ts'
import { readTime } from '../ask/times.ts'
import type { BodyOf, KeyInfo } from '../contract.ts'
import type { Handlers } from '../call.ts'
import { keysTopic } from '../keys/bounds.ts'
import { endMsOf, type KeyState, lastMsOf, secretsOf } from '../keys/events.ts'
import { type Keyring, stateOf } from '../keys/keyring.ts'
import { digestOf, newKeyId, newKeyText } from '../keys/text.ts'
import type { KeyTopic } from '../keys/topic.ts'

type Names = 'listKeys' | 'createKey' | 'rotateKey' | 'expireKey' | 'revokeKey'

/** Keys that may be live at once: all are held in memory by each replica. */
const keysMax = 10_000

const graceMsDefault = 86_400_000
const graceMsMax = 90 * 86_400_000

/** A key that ends later than this may as well not end. */
const expiresMsMax = 3650 * 86_400_000

export function keyHandlers(keyring: Keyring, topic: Pick<KeyTopic, 'needCurrent' | 'write'>): Handlers<Names> {
  /** @throws Problem `unknown_key` */
  const known = (id: string): KeyState & { created: NonNullable<KeyState['created']> } => {
    topic.needCurrent()
    const state = keyring.get(id)
    if (state?.created !== undefined) return { ...state, created: state.created }
    throw new Problem('unknown_key', `there is no key ${id.slice(0, 100)}`)
  }
  /** @throws Problem `unknown_key`, `key_ended` */
  const live = (id: string, nowMs: number) => {
    const state = known(id)
    const what = stateOf(state, nowMs)
    if (what === 'live') return state
    throw new Problem('key_ended', `the key ${id} is ${what}`)
  }
  const infoOf = (id: string, nowMs: number) => keyInfo(known(id), keyring, nowMs)
  /** What every event has. Never before the last one of its key, or a clock that is behind would undo what is answered. */
  const event = (key: string, by: string, nowMs: number) => {
    const state = keyring.get(key)
    const timeMs = Math.max(nowMs, state === undefined ? 0 : lastMsOf(state) + 1)
    return { event_id: randomUUID(), time: timeText(timeMs), key, by }
  }

  return {
    async listKeys({ query: { state, limit = 100, cursor }, nowMs }) {
      topic.needCurrent()
      const place = cursor === undefined ? undefined : readCursor(cursor)
      if (cursor !== undefined && place === undefined) throw bad('cursor', 'cursor: want one of an answer before')
      const rows = keyring.all
        .filter((each) => each.created !== undefined && (state === undefined || stateOf(each, nowMs) === state))
        .map((each) => keyInfo(each as ReturnType<typeof known>, keyring, nowMs))
      const rest = place === undefined ? rows : rows.filter((row) => isBehind(row, place))
      const keys = rest.slice(0, limit)
      const last = keys.at(-1)
      const truncated = rest.length > limit
      return {
        as_of: at(nowMs),
        keys,
        truncated,
        cursor: truncated && last !== undefined ? cursorOf({ time: last.created, id: last.id }) : null,
      }
    },

    async createKey({ body, by, nowMs, note }) {
      topic.needCurrent()
      checkInput(body)
      const count = keyring.all.filter((each) => stateOf(each, nowMs) === 'live').length
      if (count >= keysMax) throw new Problem('forbidden', `there are ${count} keys: revoke those that nobody uses`)
      const { name, scopes, topics = null, hosts = null, sites = null } = body
      const expires = body.expires === undefined ? null : timeText(endOf('expires', body.expires, nowMs))
      const id = newKeyId()
      const secret = newKeyText(id)
      const granted = { name, scopes: [...new Set(scopes)], topics, hosts, sites, expires }
      note({ key: id, granted })
      await topic.write({ event: 'created', ...event(id, by, nowMs), ...granted, sha256: sha256Of(secret) })
      return { as_of: at(nowMs), key: infoOf(id, nowMs), secret }
    },

    async rotateKey({ params: { id }, query, by, nowMs, note }) {
      const graceMs = query.grace === undefined ? graceMsDefault : parseDuration(query.grace)
      if (graceMs === undefined || graceMs > graceMsMax) {
        throw bad('grace', `grace=${query.grace}: want a duration from 0 to 90d, such as 24h`)
      }
      const { name } = live(id, nowMs).created
      const secret = newKeyText(id)
      const common = event(id, by, nowMs)
      const until = timeText(nowMs + graceMs)
      note({ key: id, name, until })
      await topic.write({ event: 'rotated', ...common, sha256: sha256Of(secret), until })
      return { as_of: at(nowMs), key: infoOf(id, nowMs), secret }
    },

    async expireKey({ params: { id }, query, by, nowMs, note }) {
      const expires = timeText(endOf('at', query.at, nowMs))
      const { name } = live(id, nowMs).created
      note({ key: id, name, expires })
      await topic.write({ event: 'expired', ...event(id, by, nowMs), expires })
      return { as_of: at(nowMs), key: infoOf(id, nowMs) }
    },

    async revokeKey({ params: { id }, by, nowMs, note }) {
      const state = known(id)
      note({ key: id, name: state.created.name })
      if (state.revoked === undefined) await topic.write({ event: 'revoked', ...event(id, by, nowMs) })
      return { as_of: at(nowMs), key: infoOf(id, nowMs) }
    },
  }
}

/** @throws Problem `bad_request` for what its schema cannot tell */
function checkInput({ scopes, topics = [], hosts, sites }: BodyOf<'createKey'>): void {
  const isBound = topics.length > 0 || hosts !== undefined || sites !== undefined
  if (isBound && scopes.includes('admin')) {
    throw new Problem('bad_request', 'scopes: admin makes keys without bounds, so it cannot be bound itself')
  }
  const wrong = topics.find((topic) => !isName(topic) || topic.startsWith(keysTopic))
  if (wrong !== undefined)
    throw new Problem('bad_request', `topics: ${JSON.stringify(wrong.slice(0, 140))} is no topic for keys`)
}

/** A moment in the future. @throws Problem `bad_parameter` */
function endOf(parameter: string, text: string, nowMs: number): number {
  const inMs = parseDuration(text)
  const endMs = inMs === undefined ? (text.startsWith('-') ? undefined : readTime(text, nowMs)?.ms) : nowMs + inMs
  if (endMs !== undefined && endMs >= nowMs && endMs <= nowMs + expiresMsMax) return endMs
  throw bad(
    parameter,
    `${parameter}=${text.slice(0, 100)}: want a time from now such as 90d, or RFC 3339, within ten years`,
  )
}

function keyInfo(
  state: KeyState & { created: NonNullable<KeyState['created']> },
  keyring: Keyring,
  nowMs: number,
): KeyInfo {
  const { id, created, rotations, revoked } = state
  const { name, scopes, topics, hosts, sites } = created
  const endMs = endMsOf(state)
  const live = secretsOf(state, nowMs)
  const usedMs = keyring.lastUsedMs(id)
  return {
    id,
    name,
    scopes,
    topics,
    hosts,
    sites,
    state: stateOf(state, nowMs),
    created: created.time,
    created_by: created.by,
    expires: endMs === Infinity ? null : timeText(endMs),
    rotated: rotations.at(-1)?.time ?? null,
    previous_until: live.length < 2 ? null : timeText((live[0] as (typeof live)[number]).untilMs),
    revoked: revoked?.time ?? null,
    last_used: usedMs === undefined ? null : timeText(usedMs),
  }
}

function isBehind({ created, id }: KeyInfo, place: NonNullable<ReturnType<typeof readCursor>>): boolean {
  const ms = Date.parse(created)
  return ms > place.time.ms || (ms === place.time.ms && id > place.id)
}

function sha256Of(secret: string): string {
  return digestOf(secret).toString('hex')
}

function timeText(ms: number): string {
  return new Date(ms).toISOString()
}
