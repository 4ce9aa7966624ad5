import { crc32 as ofZlib } from 'node:zlib'
import * as fc from 'fast-check'
import { test } from 'tap'
import { crc32 } from './crc32.ts'

test('the check value of CRC-32/ISO-HDLC, and other known sums', (t) => {
  t.equal(crc32('123456789'), 0xcbf43926)
  t.equal(crc32(''), 0)
  t.equal(crc32('a'), 0xe8b7be43)
  t.equal(crc32('The quick brown fox jumps over the lazy dog'), 0x414fa339)
  t.end()
})

test('any bytes and any text have the sum that zlib says', (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => crc32(bytes) === ofZlib(bytes)))
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => crc32(text) === ofZlib(text)))
  t.end()
})
