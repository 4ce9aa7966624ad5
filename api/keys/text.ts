/**
 * A key as its owner sees it: `pnk_<id>_<secret><checksum>`, where the id names it and is no secret, and the checksum (CRC-32
 * of everything before it, in base 62) lets secret scanners tell a key from a text that looks like one.
 */

import { hash, randomInt } from 'node:crypto'
import { crc32 } from 'node:zlib'

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** 59 bits: ids are drawn without asking whether another has it. */
const idLength = 10

/** 238 bits, which nobody guesses; that is why a plain hash of it may be kept (docs/decisions/097). */
const secretLength = 40
const checksumLength = 6

const form = new RegExp(`^pnk_([0-9A-Za-z]{${idLength}})_[0-9A-Za-z]{${secretLength + checksumLength}}$`)

/** The id of a new key. */
export function newKeyId(): string {
  return randomDigits(idLength)
}

/** A new secret for a key: the whole text, to be shown once. */
export function newKeyText(id: string): string {
  const text = `pnk_${id}_${randomDigits(secretLength)}`
  return text + checksumOf(text)
}

/** The id that a text names; `undefined` where it cannot be a key of ours. */
export function keyIdOf(text: string): string | undefined {
  const id = form.exec(text)?.[1]
  return id !== undefined && text.endsWith(checksumOf(text.slice(0, -checksumLength))) ? id : undefined
}

/** What is kept of a key. */
export function digestOf(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}

function checksumOf(text: string): string {
  let rest = crc32(text)
  let checksum = ''
  for (let place = 0; place < checksumLength; place++) {
    checksum = (digits[rest % digits.length] as string) + checksum
    rest = Math.floor(rest / digits.length)
  }
  return checksum
}

function randomDigits(count: number): string {
  return Array.from({ length: count }, () => digits[randomInt(digits.length)]).join('')
}
