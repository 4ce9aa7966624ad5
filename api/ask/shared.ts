/** Answers that many requests are given: the same object to each, written as JSON once and compressed once. */

import { promisify } from 'node:util'
import { brotliCompress, brotliCompressSync, constants, gzip, gzipSync } from 'node:zlib'

export type Coding = 'br' | 'gzip'

interface Written {
  readonly json: Buffer
  readonly packed: Map<Coding, Promise<Buffer>>
  /** Those of `packed` that somebody has asked for. */
  readonly asked: Set<Coding>
}

const written = new WeakMap<object, Written>()

/** Items of a list that are written before others have their turn: some 2 ms of GPUs. */
const itemsATurn = 100

/**
 * Writes an answer that others will be given, too, and that nobody changes any more. 1,000 GPUs are 1.5 MB and took 8 ms in one go, for
 * which everybody else waited: so its lists are written in pieces.
 *
 * @param nextTurn resolves when those who wait for the event loop had theirs
 */
export async function shared<T extends object>(answer: T, nextTurn: () => Promise<unknown>): Promise<T> {
  const pieces: Buffer[] = []
  let text = '{'
  let isFirst = true
  for (const [name, value] of Object.entries(answer) as [string, unknown][]) {
    if (value === undefined) continue
    text += `${isFirst ? '' : ','}${JSON.stringify(name)}:`
    isFirst = false
    if (!Array.isArray(value) || value.length <= itemsATurn) {
      text += JSON.stringify(value)
      continue
    }
    text += '['
    for (let from = 0; from < value.length; from += itemsATurn) {
      await nextTurn()
      text += (from === 0 ? '' : ',') + JSON.stringify(value.slice(from, from + itemsATurn)).slice(1, -1)
      pieces.push(Buffer.from(text))
      text = ''
    }
    text = ']'
  }
  pieces.push(Buffer.from(`${text}}`))
  return keep(answer, Buffer.concat(pieces))
}

/** An answer of which only what is written of it is known here: {@link jsonOf} and {@link valueOf} say what it holds. */
export function restored(json: Buffer): unknown {
  return keep({}, json)
}

function keep<T extends object>(answer: T, json: Buffer): T {
  written.set(answer, { json, packed: new Map(), asked: new Set() })
  return answer
}

/** What an answer is written as: its JSON, or the text that it is. */
export function jsonOf(answer: unknown): string | Buffer {
  const own = writtenOf(answer)
  return own === undefined ? JSON.stringify(answer) : own.json
}

/** The answer, read again where it is a {@link restored} one. */
export function valueOf(answer: unknown): unknown {
  const own = writtenOf(answer)
  return own === undefined || Object.keys(answer as object).length > 0 ? answer : JSON.parse(own.json.toString())
}

/**
 * The JSON of a shared answer, compressed, by the first who asks for all others; on another thread. A list of 1,000 GPUs would else be
 * compressed anew for each who asks.
 *
 * @returns `undefined` where the answer is none that is shared
 */
export function packedOf(answer: unknown, coding: Coding): Promise<Buffer> | undefined {
  const own = writtenOf(answer)
  own?.asked.add(coding)
  return own && packedBy(own, coding)
}

/** Shorter ones `@fastify/compress` leaves as they are, too. */
const packedBytesMin = 1_024

/**
 * Compressed in the thread that asks, up to this: 18 kB took 0.07 ms, and 0.25 ms of processor time on another one, with as much waiting;
 * by `@fastify/compress`, which pipes streams, more than that.
 */
const packedNowBytesMax = 32_768

/** A text, compressed at once; `undefined` where it is too long for that, or too short to be compressed at all. */
export function packNow(text: string | Buffer, coding: Coding): Buffer | undefined {
  if (text.length < packedBytesMin || text.length > packedNowBytesMax) return undefined
  // Of gzip's default, 6, the same text takes 0.14 ms and is 2 % shorter; of br's quality 4 it takes 0.2 ms, and is as long.
  return coding === 'gzip'
    ? gzipSync(text, { level: 4 })
    : brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 2 } })
}

/** Compresses an answer as the one before it was asked for. @returns how that was */
export async function packLike(before: unknown, answer: unknown): Promise<readonly Coding[]> {
  const own = writtenOf(answer)
  const codings = own === undefined ? [] : [...(writtenOf(before)?.asked ?? [])]
  await Promise.all(codings.map((coding) => packedBy(own as Written, coding)))
  return codings
}

function packedBy(own: Written, coding: Coding): Promise<Buffer> {
  let packed = own.packed.get(coding)
  if (packed === undefined) own.packed.set(coding, (packed = packers[coding](own.json)))
  return packed
}

const packers: Readonly<Record<Coding, (json: Buffer) => Promise<Buffer>>> = {
  // Of the default's quality, 11, a list would take seconds.
  br: (json) => promisify(brotliCompress)(json, { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }),
  gzip: (json) => promisify(gzip)(json),
}

function writtenOf(answer: unknown): Written | undefined {
  return typeof answer === 'object' && answer !== null ? written.get(answer) : undefined
}
