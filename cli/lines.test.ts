import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { LineSplitter } from './lines.ts'

test('lines are the same, however the bytes come', async () => {
  const line = fc.string({ unit: fc.constantFrom('a', ' ', 'é', '東', '😀', '\u2028', '\r') }).map((text) => `${text}.`)
  fc.assert(
    fc.property(fc.array(line), fc.array(fc.nat(7)), fc.constantFrom('\n', '\r\n'), (lines, sizes, end) => {
      const bytes = Buffer.from(lines.map((text) => text + end).join(''))
      const splitter = new LineSplitter()
      const got: string[] = []
      let at = 0
      for (const size of sizes) got.push(...splitter.feed(bytes.subarray(at, (at = Math.min(bytes.length, at + size)))))
      got.push(...splitter.feed(bytes.subarray(at)), ...splitter.end())
      assert.deepEqual(got, lines)
    }),
  )
})

test('a last line needs no newline, and U+2028 is none', async (t) => {
  const splitter = new LineSplitter()
  t.strictSame(splitter.feed(Buffer.from('{"a":"\u2028"}\nlast')), ['{"a":"\u2028"}'])
  t.strictSame(splitter.end(), ['last'])
  t.strictSame(splitter.end(), [])
})
