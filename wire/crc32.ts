/**
 * CRC-32 (ISO-HDLC, the one of zlib, gzip and PNG: polynomial 0xEDB88320, reflected, initial and final 0xFFFFFFFF).
 *
 * The broker checks its batches with `node:zlib`; this one is for keys and for a client in a browser.
 */

const table = new Uint32Array(256)
for (let byte = 0; byte < 256; byte++) {
  let remainder = byte
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1
  table[byte] = remainder
}

const encoder = new TextEncoder()

/** The checksum of bytes, or of a text's UTF-8 bytes, as an unsigned 32-bit number. */
export function crc32(data: Uint8Array | string): number {
  const bytes = typeof data === 'string' ? encoder.encode(data) : data
  let remainder = 0xffffffff
  for (const byte of bytes) remainder = (table[(remainder ^ byte) & 0xff] as number) ^ (remainder >>> 8)
  return (remainder ^ 0xffffffff) >>> 0
}
