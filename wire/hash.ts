/** A 32-bit hash for placing things: partitions on a ring, partitions among consumers. Not for checksums, not for secrets. */

import { crc32 } from './crc32.ts'

/**
 * CRC-32 of the text, mixed by the finalizer of MurmurHash3 (Austin Appleby, public domain).
 *
 * CRC-32 alone is linear: for texts that differ in one place, the differences of their sums are the same everywhere, and
 * what is ranked by it comes out in patterns.
 */
export function hash32(text: string): number {
  let hash = crc32(text)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
