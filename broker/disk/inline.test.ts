import { test } from 'tap'

import { InlineWrites } from './inline.ts'

/** A disk whose writes take as long as told. */
function fixture(bytesMax = 1_000) {
  const told: [number, number][] = []
  let nowMs = 0
  const inline = new InlineWrites(
    bytesMax,
    () => nowMs,
    (ms, pauseMs) => told.push([ms, pauseMs]),
  )
  return {
    inline,
    told,
    pass: (ms: number) => (nowMs += ms),
    /** Whether the write was made at once. */
    write: (tookMs = 0, bytes = 10) =>
      inline.tryWrite([new Uint8Array(bytes)], () => {
        nowMs += tookMs
        return bytes
      }) === bytes,
  }
}

test('small writes are made at once, larger ones and all of none by a thread', async (t) => {
  const { inline, write } = fixture()
  t.ok(write(0, 1_000))
  t.notOk(write(0, 1_001))
  const two = [new Uint8Array(600), new Uint8Array(600)]
  t.equal(
    inline.tryWrite(two, () => 1_200),
    undefined,
    'the views of a write count together',
  )
  t.notOk(fixture(0).write(0, 1))
})

test('beside a sync, which a file system may have them wait for, none is made at once', async (t) => {
  const { inline, write } = fixture()
  const sync = Promise.withResolvers<void>()
  const other = Promise.withResolvers<void>()
  const ended = [inline.beside(() => sync.promise), inline.beside(() => other.promise)]
  t.notOk(write())
  sync.resolve()
  await ended[0]
  t.notOk(write(), 'the other one is under way')
  other.reject(new Error('EIO'))
  await t.rejects(ended[1] as Promise<void>, /EIO/)
  t.ok(write())
})

test('behind one that took long none is made at once for a while, and that is told', async (t) => {
  const { told, write, pass } = fixture()
  t.ok(write(4))
  t.ok(write(40))
  t.same(told, [[40, 1_000]])
  pass(999)
  t.notOk(write())
  pass(1)
  t.ok(write())
})

test('the pauses of a disk that stays slow grow to a minute, and begin anew behind a quick time', async (t) => {
  const { told, write, pass } = fixture()
  const pauses = (): number[] => told.splice(0).map(([, pauseMs]) => pauseMs)
  for (let at = 0; at < 9; at++) {
    t.ok(write(5))
    pass(told.at(-1)?.[1] ?? 0)
  }
  t.same(pauses(), [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000])
  pass(600_001)
  write(5)
  t.same(pauses(), [1_000])
})

test('a write that fails late is as long as one that succeeds', async (t) => {
  const { inline, told, pass, write } = fixture()
  const fails = (): number => {
    pass(7)
    throw new Error('ENOSPC')
  }
  t.throws(() => inline.tryWrite([new Uint8Array(1)], fails), /ENOSPC/)
  t.same(told, [[7, 1_000]])
  t.notOk(write())
})
