/** `POST /api/v2/write` and `/write`: line protocol to the broker, and what no record can be made of to the dead letters. */

import { isUtf8 } from 'node:buffer'
import type { Client } from '#wire/client'
import { Problem } from '#wire/problems'
import { at } from '../ask/parameters.ts'
import type { Call, Handlers } from '../call.ts'
import { answerInfluxQl } from './influx.ts'
import { type Letter, type Points, pointsOf } from './points.ts'
import type { Sender } from './sender.ts'

/** A part of a body that is sent before the next one is read: bounds the memory, and lets others have their turn. */
const partChars = 2 * 1024 * 1024

/** A body may become so much; its fields all repeat the tags of their line. */
const charsMax = 64 * 1024 * 1024

/** How long dead letters are tried, before the client is told. */
const buryMs = 5_000

/** So much of dead letters goes in one request. */
const burialCharsMax = 256 * 1024

export interface Letterbox {
  readonly topic: string
  /** Writes them, and tries until the signal aborts. */
  readonly client: Pick<Client, 'dead'>
}

type Write = Call<'writeLines'> | Call<'writeLinesV1'>

export function writeHandlers(
  sender: Pick<Sender, 'send'>,
  letterbox: Letterbox,
): Pick<Handlers, 'writeLines' | 'writeLinesV1' | 'createDatabase'> {
  return {
    writeLines: (call) => write(sender, letterbox, call, '/api/v2/write'),
    writeLinesV1: (call) => write(sender, letterbox, call, '/write'),
    async createDatabase({ query, body }) {
      return answerInfluxQl(query.q ?? body.q)
    },
  }
}

async function write(
  sender: Pick<Sender, 'send'>,
  letterbox: Letterbox,
  call: Write,
  path: string,
): Promise<undefined> {
  const { body, query, nowMs, signal, bounds } = call
  bounds.needTopic(letterbox.topic)
  const source = query.bucket ?? query.db
  const file = source === undefined ? path : `${path} ${source}`
  let [lines, unreadable, taken, chars] = [0, 0, 0, 0]
  let firstReason: string | undefined
  const options = { precision: query.precision ?? 'ns', now: at(nowMs), partChars, isUtf8: isUtf8(body) }
  for (const part of pointsOf(new TextDecoder().decode(body), options)) {
    chars += part.chars
    if (chars > charsMax) {
      const detail = `the points of the body are more than ${charsMax} bytes with their tags: send fewer at once`
      throw new Problem('body_too_large', detail, { limit_bytes: charsMax })
    }
    for (const { record } of part.records) bounds.needRecord(record)
    await send(sender, part, taken, nowMs, signal)
    await bury(letterbox, part.letters, file, signal)
    lines += part.lines
    unreadable += part.unreadable
    taken += part.records.length
    const [first] = part.letters
    firstReason ??= first && `line ${first.line}: ${first.reason}`
  }
  if (lines === 0)
    throw new Problem('empty_batch', 'the body holds no line: want measurement,tag=text field=value timestamp')
  // What is no line protocol at all comes of a wrong setting, whose owner should hear of it now.
  if (unreadable === lines) {
    throw new Problem('bad_record', `no line can be read, all are in the dead letters; ${firstReason}`, { line: 1 })
  }
}

async function send(
  sender: Pick<Sender, 'send'>,
  { records }: Points,
  taken: number,
  nowMs: number,
  signal: AbortSignal,
): Promise<void> {
  if (records.length === 0) return
  const { ids, failure } = await sender.send(records, nowMs, signal)
  if (failure === undefined) return
  if (!(failure instanceof Problem)) throw failure
  const accepted = taken + ids.filter((id) => id !== null).length
  const { line: _, ...extra } = failure.extra
  const { detail } = failure.toJSON()
  const told =
    accepted === 0 ? detail : `${accepted} points were taken; send all again, a point sent twice is one: ${detail}`
  throw new Problem(failure.code, told, { ...extra, accepted })
}

/** @throws Problem `unavailable`, and what refuses them */
async function bury(
  { client, topic }: Letterbox,
  letters: readonly Letter[],
  file: string,
  signal: AbortSignal,
): Promise<void> {
  const enough = AbortSignal.timeout(buryMs)
  const both = AbortSignal.any([signal, enough])
  try {
    for (let first = 0; first < letters.length;) {
      let chars = 0
      let last = first
      for (; last < letters.length && chars < burialCharsMax; last++)
        chars += (letters[last] as Letter).row.length + 200
      const own = letters.slice(first, last).map((letter) => ({ ...letter, file }))
      await client.dead(topic, own, both)
      first = last
    }
  } catch (error) {
    if (!enough.aborted || error instanceof Problem) throw error
    throw new Problem('unavailable', 'the broker does not take the dead letters of the bad lines', { retry_after_s: 2 })
  }
}
