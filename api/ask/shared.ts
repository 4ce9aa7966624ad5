/** Answers that many requests are given: the same object to each, written as JSON once and compressed once. */

import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

export type Coding = 'br' | 'gzip'

interface Written {
  readonly json: Buffer
  readonly packed: Map<Coding, Promise<Buffer>>
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
  written.set(answer, { json: Buffer.concat(pieces), packed: new Map() })
  return answer
}

/** The JSON of an answer. */
export function jsonOf(answer: unknown): string | Buffer {
  const own = writtenOf(answer)
  return own === undefined ? JSON.stringify(answer) : own.json
}

/**
 * The JSON of a shared answer, compressed, by the first who asks for all others; on another thread. A list of 1,000 GPUs would else be
 * compressed anew for each who asks.
 *
 * @returns `undefined` where the answer is none that is shared
 */
export function packedOf(answer: unknown, coding: Coding): Promise<Buffer> | undefined {
  const own = writtenOf(answer)
  if (own === undefined) return undefined
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
