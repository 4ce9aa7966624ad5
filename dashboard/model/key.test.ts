import fc from 'fast-check'
import { test } from 'tap'
import { gpuIn, hashOf, isPossibleKey, takeKey } from './key.ts'

test('the key leaves the address, and what stood beside it stays', (t) => {
  t.strictSame(takeKey('#key=abc'), { key: 'abc', rest: '' })
  t.strictSame(takeKey('#gpu=GPU-1&key=a%2Bb'), { key: 'a+b', rest: '#gpu=GPU-1' })
  t.strictSame(takeKey('#key=%zz'), { key: '%zz', rest: '' }, 'what is no percent encoding is taken as it is')
  t.strictSame(takeKey('#key='), { key: undefined, rest: '' }, 'an empty one is none, and goes too')
  t.strictSame(takeKey('#gpus'), { key: undefined, rest: '#gpus' })
  t.strictSame(takeKey(''), { key: undefined, rest: '' })
  t.end()
})

test('no address keeps any part of a key', (t) => {
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-zA-Z0-9_-]{8,40}$/),
      fc.array(fc.constantFrom('gpu=GPU-1', 'gpus', 'x=y')),
      (key, others) => {
        const at = others.length >> 1
        const hash = `#${[...others.slice(0, at), `key=${key}`, ...others.slice(at)].join('&')}`
        const taken = takeKey(hash)
        return taken.key === key && !taken.rest.includes(key)
      },
    ),
  )
  t.end()
})

test('a GPU in the address is read back as it was written', (t) => {
  fc.assert(fc.property(fc.string({ minLength: 1, unit: 'grapheme' }), (gpu) => gpuIn(hashOf(gpu)) === gpu))
  t.equal(gpuIn('#gpu='), undefined)
  t.equal(hashOf(undefined), '')
  t.end()
})

test('what no header can carry is no key', (t) => {
  t.ok(isPossibleKey('dev-key-12345'))
  for (const text of ['', 'two words', 'ключ', 'a\nb', 'x'.repeat(513)])
    t.notOk(isPossibleKey(text), JSON.stringify(text))
  t.end()
})
