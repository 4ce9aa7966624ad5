import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { sourceTime } from './time.ts'
import { Zone } from './zone.ts'

/** What a clock of the zone shows, as another way of the runtime's writes it. */
function shown(ms: number, timeZone: string): string {
  return new Date(ms).toLocaleString('sv-SE', { timeZone }).replace(' ', 'T')
}

test('a clock of the zone shows what was read, at any time and in zones of all kinds', async () => {
  const zones = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe', 'America/Caracas']
  const wall = fc.integer({ min: Date.UTC(1990, 0, 1) / 1000, max: Date.UTC(2037, 0, 1) / 1000 })
  fc.assert(
    fc.property(fc.constantFrom(...zones), fc.array(wall, { minLength: 1, maxLength: 20 }), (name, walls) => {
      const zone = new Zone(name)
      for (const wallS of walls) {
        const ms = zone.momentOf(wallS * 1000)
        const found = shown(ms, name)
        const given = new Date(wallS * 1000).toISOString().slice(0, 19)
        // An hour that is never shown is the only one that is not found again.
        if (found !== given)
          assert.ok(shown(ms - 3_600_000, name) < given && given < found, `${name} ${given} ${found}`)
      }
    }),
  )
})

test('an hour shown twice is its first; one never shown is read by the offset before it', async (t) => {
  const berlin = new Zone('Europe/Berlin')
  t.equal(sourceTime('2026/10/25 02:30:00.123', berlin), '2026-10-25T00:30:00.123Z')
  t.equal(sourceTime('2026/10/25 03:00:00', berlin), '2026-10-25T02:00:00Z')
  t.equal(sourceTime('2026/03/29 02:30:00', berlin), '2026-03-29T01:30:00Z')
  t.equal(sourceTime('2026/11/22 12:00:00.5', new Zone('Asia/Kolkata')), '2026-11-22T06:30:00.500Z')
})

test('a time that tells its zone, or counts since 1970, is the same in all of them', async (t) => {
  const zone = new Zone('America/New_York')
  for (const given of ['2026-11-22T12:00:00Z', '2026-11-22T12:00:00+05:30', '1795348800', 'yesterday'])
    t.equal(sourceTime(given, zone), sourceTime(given))
})

test('a zone that nobody knows is refused; local is that of the machine', async (t) => {
  t.throws(() => new Zone('Mars/Olympus'), RangeError)
  const ms = new Zone('local').momentOf(Date.UTC(2026, 10, 22, 12))
  t.equal(ms, new Date(2026, 10, 22, 12).getTime())
})
