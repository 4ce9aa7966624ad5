import * as fc from 'fast-check'
import { test } from 'tap'
import { formatId, isName, parseId, partitionOfKey, type Offset, type Ordinal, type Partition } from './ids.ts'

test('an id is read as it was written, and nothing else is one', (t) => {
  fc.assert(
    fc.property(fc.nat(99_999), fc.nat(99_999), fc.maxSafeNat(), (broker, partition, offset) => {
      const text = formatId(broker as Ordinal, partition as Partition, offset as Offset)
      return JSON.stringify(parseId(text)) === JSON.stringify({ broker, partition, offset })
    }),
  )
  // What is read is written the same: two texts never name one record.
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9/+-]{0,9}$/), (text) => {
      const id = parseId(text)
      return id === undefined || formatId(id.broker, id.partition, id.offset) === text
    }),
    { numRuns: 500 },
  )
  const bad = ['', '17', '0/17', '0/3/', '/3/17', '0/3/17/', '0/3/-1', '0/3/1.5', '0/3/1e3', ' 0/3/17', '0/3/17 ']
  const worse = ['0/3/17\n', '00/3/17', '0/03/17', '0/3/017', '0/3/9007199254740992', '0/3/٣', '100000/0/0', '0/0x1/1']
  t.same(
    [...bad, ...worse].filter((text) => parseId(text) !== undefined),
    [],
  )
  t.same(parseId('0/3/9007199254740991'), { broker: 0, partition: 3, offset: Number.MAX_SAFE_INTEGER })
  t.end()
})

test('names', (t) => {
  const good = ['a', '-', '_', '0', 'telemetry', 'telemetry.dead', 'GPU-8f2c', 'a..b', 'a'.repeat(128)]
  const bad = ['', '.', '..', '.a', '../a', 'a/b', 'a b', 'a\n', '\na', 'a\0', 'ü', 'a%', 'a:b', 'a'.repeat(129)]
  t.same(
    good.filter((name) => !isName(name)),
    [],
  )
  t.same(bad.filter(isName), [])
  t.end()
})

test('a key has the partition that it had in every version', (t) => {
  // Golden: another answer would send a GPU's records to another partition after an upgrade.
  t.equal(partitionOfKey('123456789', 4), 0xcbf43926 % 4)
  t.equal(partitionOfKey('GPU-7e3b1c8a-0f0e-4b7f-8c3f-52d0a4d1e0aa', 10_000), 952)
  t.equal(partitionOfKey('', 4), 0)
  const counts = [0, 0, 0, 0]
  for (let key = 0; key < 4000; key++) counts[partitionOfKey(`GPU-${key}`, 4)]!++
  t.ok(
    counts.every((count) => count > 800),
    `keys spread: ${counts.join()}`,
  )
  t.end()
})
