/**
 * What names things on the wire: topics, partitions, offsets, record ids.
 *
 * A **log** is one broker's part of a partition. A record id is `<broker ordinal>/<partition>/<offset>`: unique within a
 * topic, ordered within its log, and enough to route an acknowledgement.
 */

import { crc32 } from './crc32.ts'

/** The position of a record in its log, from 0. It rises and is never issued twice. */
export type Offset = number & { readonly brand: 'offset' }

/** The number of a partition in its topic, from 0. */
export type Partition = number & { readonly brand: 'partition' }

/** The number of a broker in its cluster, from 0 (in Kubernetes the ordinal of its StatefulSet pod). */
export type Ordinal = number & { readonly brand: 'ordinal' }

/** Where one record stands. Its text form is {@link formatId}'s. */
export interface RecordId {
  readonly broker: Ordinal
  readonly partition: Partition
  readonly offset: Offset
}

/** The number of partitions a topic may have at most. */
export const partitionsMax = 10_000

/** The suffix of the topic that holds another topic's dead letters. */
export const deadSuffix = '.dead'

const namePattern = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/
// Without leading zeros: one record has one id, so that ids can be compared as text.
const idPattern = /^(0|[1-9]\d{0,4})\/(0|[1-9]\d{0,4})\/(0|[1-9]\d{0,15})$/

/** What a topic, group, consumer or producer may be called: 1 to 128 of `A-Z a-z 0-9 . _ -`, not starting with a dot. */
export function isName(text: string): boolean {
  return namePattern.test(text)
}

/** `0/3/1234567`. */
export function formatId(broker: Ordinal, partition: Partition, offset: Offset): string {
  return `${broker}/${partition}/${offset}`
}

/** Reads what {@link formatId} writes; `undefined` for anything else. */
export function parseId(text: string): RecordId | undefined {
  const match = idPattern.exec(text)
  if (match === null) return undefined
  const offset = Number(match[3])
  if (!Number.isSafeInteger(offset)) return undefined
  return { broker: Number(match[1]) as Ordinal, partition: Number(match[2]) as Partition, offset: offset as Offset }
}

/** The partition of a keyed record: crc32 of the key's UTF-8 bytes, modulo the number of partitions. */
export function partitionOfKey(key: string, partitions: number): Partition {
  return (crc32(key) % partitions) as Partition
}

/** A name that no other producer has. */
export function randomName(prefix: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8))
  return `${prefix}-${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`
}
