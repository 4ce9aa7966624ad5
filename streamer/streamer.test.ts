import { appendFileSync, copyFileSync, mkdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import { test } from 'tap'
import { openCheckpoints } from './checkpoint-store.ts'
import { FakeBroker, goodOf, header, rows, scene, stream, values } from './fakes.ts'
import type { Streamer } from './streamer.ts'

test('a file is streamed once: its rows, its dead letters, and nothing on a second run', async (t) => {
  const { folder, broker, checkpoints } = await scene(t)
  const path = join(folder, 'a.csv')
  writeFileSync(path, header + rows(100))
  const { streamer } = await stream({ entries: [path], broker, checkpoints })
  t.same(values(broker), goodOf(100))
  t.match(broker.dead[0], { file: 'a.csv', line: 5, reason: /value is "bad": want a number/, row: /"M"/ })
  const status = { name: 'a.csv', format: 'dcgm', rows: 100, dead: broker.dead.length, done: true }
  t.match(streamer.sources, [status])
  t.equal(streamer.done, true)

  const again = await stream({ entries: [path], broker, checkpoints })
  t.same(values(broker), goodOf(100))
  t.match(again.streamer.sources, [status], 'and the status tells the same figures')
  t.equal(broker.repeats, 0)
})

const packers = { '': Buffer.from, '.gz': gzipSync, '.zst': zstdCompressSync }

for (const [ending, pack] of Object.entries(packers)) {
  test(`killed at every batch and started again, each row arrives once, of a.csv${ending}`, async (t) => {
    const { folder, broker, checkpoints } = await scene(t)
    const path = join(folder, `a.csv${ending}`)
    writeFileSync(path, pack(header + rows(1200)))
    let kills = 0
    for (; kills < 500; kills++) {
      const { streamer } = await stream({ entries: [path], broker, checkpoints, killAt: 3 })
      if (streamer.done) break
    }
    t.ok(kills > 5, `${kills} kills`)
    t.ok(broker.repeats > 0, 'some were sent again, and known')
    t.same(
      values(broker).sort((a, b) => a - b),
      goodOf(1200),
    )
    t.same(
      broker.dead.map(({ line }) => line),
      Array.from({ length: 1200 }, (_, at) => at + 2).filter((line) => (line - 2) % 7 === 3),
    )
    const kept = await checkpoints.get(path)
    t.match(kept, { rows: 1200, dead: broker.dead.length, atEnd: true })
  })
}

test('a transfer log without ids keeps the ids of equal rows across a kill', async (t) => {
  const { folder, broker, checkpoints } = await scene(t)
  const path = join(folder, 't.csv')
  const row = '2025-07-18T20:42:34Z,1752871354,1048576,0.84,1248304,success,SITE_A\n'
  writeFileSync(
    path,
    `timestamp_iso,timestamp_unix,bytes,duration,throughput_bytes_per_sec,status,site\n${row.repeat(600)}`,
  )
  for (let run = 0; run < 100; run++) {
    const { streamer } = await stream({ entries: [path], broker, checkpoints, killAt: 2 })
    if (streamer.done) break
  }
  const ids = broker.topic('transfers').map((data) => (JSON.parse(data) as { id: string }).id)
  t.equal(ids.length, 600)
  t.equal(new Set(ids).size, 600)
})

test('folders and globs: by name, and what appears later', async (t) => {
  const { folder, broker, checkpoints } = await scene(t)
  const exports = join(folder, 'exports')
  mkdirSync(exports)
  writeFileSync(join(exports, 'b.csv'), header + rows(10, 10, 1000))
  writeFileSync(join(exports, 'a.csv.gz'), gzipSync(header + rows(10, 0, 1000)))
  writeFileSync(join(exports, 'note.txt'), 'no rows')
  let added = false
  const later = join(exports, 'c.csv')
  const stop = (streamer: Streamer): boolean => {
    if (!added && streamer.sources.length === 2) {
      added = true
      writeFileSync(later, header + rows(10, 20, 1000))
    }
    return values(broker).length >= 29
  }
  await stream({ entries: [exports], broker, checkpoints, stopWhen: stop })
  t.same(values(broker), goodOf(30, 0, 1000))
  const fresh = new FakeBroker()
  const other = await openCheckpoints(join(folder, 'other'))
  t.teardown(() => other.close())
  await stream({
    entries: [join(exports, '[bc].csv')],
    broker: fresh,
    checkpoints: other,
    stopWhen: () => values(fresh).length >= 20,
  })
  t.same(values(fresh), goodOf(20, 10, 1000))
})

test('a file that has grown is read on; one that was replaced is read anew', async (t) => {
  const { folder, broker, checkpoints } = await scene(t)
  const path = join(folder, 'a.csv')
  writeFileSync(path, header + rows(20))
  await stream({ entries: [path], broker, checkpoints })
  appendFileSync(path, rows(20, 20))
  await stream({ entries: [path], broker, checkpoints })
  t.same(values(broker), goodOf(40))
  t.equal((await checkpoints.get(path))?.rows, 40)

  utimesSync(path, new Date(), new Date(Date.now() + 60_000))
  await stream({ entries: [path], broker, checkpoints })
  t.same(values(broker), goodOf(40), 'touched is not replaced')

  writeFileSync(path, header + rows(60, 1000))
  await stream({ entries: [path], broker, checkpoints })
  t.same(values(broker), [...goodOf(40), ...goodOf(60, 1000)])

  truncateSync(path, header.length + 10)
  const { streamer } = await stream({ entries: [path], broker, checkpoints })
  t.match(streamer.sources, [{ rows: 1, dead: 1, done: true }])
})

test('a last line that is still being written is waited for; one that stays without an end is taken as it is', async (t) => {
  const { folder, broker, checkpoints } = await scene(t)
  const path = join(folder, 'a.csv')
  const all = header + rows(20, 0, 100)
  // Within the last number: what stands there so far, and then its rest, would be dead letters.
  const cut = all.lastIndexOf('19') + 1
  writeFileSync(path, all.slice(0, cut))
  let looks = 0
  const write = (): boolean => {
    if (++looks === 10) appendFileSync(path, all.slice(cut))
    return false
  }
  await stream({ entries: [path], broker, checkpoints, stopWhen: write })
  t.ok(looks >= 10)
  t.same(values(broker), goodOf(20, 0, 100))
  t.equal(broker.dead.length, 1, 'the one that is bad as it is')

  appendFileSync(path, rows(1, 20, 100).trimEnd())
  await stream({ entries: [path], broker, checkpoints })
  t.same(values(broker), goodOf(21, 0, 100))
})

test('what cannot be read says so in one line, and the others are read', async (t) => {
  const { folder, broker, checkpoints } = await scene(t)
  const at = (name: string): string => join(folder, name)
  writeFileSync(at('empty.csv'), '')
  writeFileSync(at('empty.csv.gz'), gzipSync(''))
  writeFileSync(at('foreign.csv'), 'a,b,c\n1,2,3\n')
  writeFileSync(at('wide.csv'), `${','.repeat(200_000)}\n1\n`)
  writeFileSync(at('good.csv'), header + rows(5))
  const whole = gzipSync(header + rows(2000, 0, 10_000))
  writeFileSync(at('cut.csv.gz'), whole.subarray(0, whole.length - 2000))
  writeFileSync(at('damaged.csv.gz'), Buffer.concat([whole.subarray(0, 100), Buffer.alloc(500), whole.subarray(600)]))
  writeFileSync(at('two.csv.gz'), Buffer.concat([gzipSync(header + rows(5, 100)), gzipSync(rows(5, 105))]))
  const zstd = zstdCompressSync(header + rows(2000, 0, 10_000))
  writeFileSync(at('cut.csv.zst'), zstd.subarray(0, zstd.length - 2000))
  writeFileSync(at('no.csv.zst'), header + rows(5))
  writeFileSync(at('empty.csv.zst'), zstdCompressSync(''))
  const names = [
    'none.csv',
    'empty.csv',
    'empty.csv.gz',
    'foreign.csv',
    'wide.csv',
    'no*.csv',
    'cut.csv.gz',
    'damaged.csv.gz',
    'two.csv.gz',
    'cut.csv.zst',
    'no.csv.zst',
    'empty.csv.zst',
    'good.csv',
  ]
  const { streamer, errors } = await stream({
    entries: names.map(at),
    broker,
    checkpoints,
    stopWhen: ({ done }) => done,
  })
  const wanted = [
    /none\.csv does not exist$/,
    /no file matches .*no\*\.csv$/,
    /\/empty\.csv is empty: want CSV with a header line$/,
    /empty\.csv\.gz is empty: want CSV with a header line$/,
    /foreign\.csv: the header is "a,b,c": want a DCGM export/,
    /wide\.csv has a header of 200001 columns: want at most 512$/,
    /cut\.csv\.gz is not a whole gzip file, it ends behind byte \d+ of its text .*: copy it again$/,
    /damaged\.csv\.gz is damaged behind byte \d+/,
    /cut\.csv\.zst is not a whole zstd file, it ends behind byte \d+ of its text .*: copy it again$/,
    /no\.csv\.zst is damaged behind byte 0 of its text/,
    /empty\.csv\.zst is empty: want CSV with a header line$/,
  ]
  t.equal(errors.length, wanted.length, errors.join('\n'))
  for (const reason of wanted)
    t.ok(
      errors.some((error) => reason.test(error) && !error.includes('\n')),
      String(reason),
    )
  const cut = streamer.sources.find(({ name }) => name === 'cut.csv.gz')
  t.ok((cut?.rows ?? 0) > 100 && cut?.dead === 1, `the whole rows of the cut file are sent: ${cut?.rows}`)
  t.match(
    streamer.sources.find(({ name }) => name === 'two.csv.gz'),
    { rows: 10, done: true },
  )
  t.same(values(broker).slice(-4), goodOf(5))
})

test('a zstd file of many frames is read whole, with those that hold nothing, and one that is damaged to where it is', async (t) => {
  const { folder, broker, checkpoints } = await scene(t)
  const at = (name: string): string => join(folder, name)
  // A skippable frame, as the seekable format and pzstd have: its mark, its length, and bytes that are none of the text.
  const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])
  const framed = [
    skippable,
    zstdCompressSync(header),
    ...Array.from({ length: 40 }, (_, index) => zstdCompressSync(rows(50, index * 50, 10_000))),
    skippable,
  ]
  writeFileSync(at('many.csv.zst'), Buffer.concat(framed))
  writeFileSync(at('one.csv.zst'), zstdCompressSync(header + rows(5, 2000, 10_000)))
  await stream({ entries: [at('many.csv.zst'), at('one.csv.zst')], broker, checkpoints })
  t.same(values(broker), goodOf(2005, 0, 10_000))

  const checked = { params: { [constants.ZSTD_c_checksumFlag]: 1 } }
  const last = zstdCompressSync(rows(500, 500, 10_000), checked)
  last[last.length - 1] = (last.at(-1) as number) ^ 1
  writeFileSync(at('damaged.csv.zst'), Buffer.concat([zstdCompressSync(header + rows(500, 0, 10_000)), last]))
  const { streamer, errors } = await stream({ entries: [at('damaged.csv.zst')], broker, checkpoints })
  t.match(errors, [/damaged\.csv\.zst is damaged behind byte \d+ of its text/])
  t.ok((streamer.sources[0]?.rows ?? 0) >= 500, 'the frames before it are sent')
})

test('a looped file makes new points with each pass, also after a kill', async (t) => {
  const { folder, broker, checkpoints } = await scene(t)
  const path = join(folder, 'a.csv')
  writeFileSync(path, header + rows(50, 0, 1000))
  const enough = (): boolean => broker.topic('telemetry').length >= 400
  await stream({ entries: [path], broker, checkpoints, loop: true, killAt: 4 })
  await stream({ entries: [path], broker, checkpoints, loop: true, stopWhen: enough })
  const times = broker.topic('telemetry').map((data) => Date.parse((JSON.parse(data) as { time: string }).time))
  const expected = Array.from({ length: times.length + 10 }, (_, at) => Date.UTC(2025, 6, 18) + at * 1000).filter(
    (ms) => (ms / 1000) % 50 !== 3,
  )
  t.ok(times.length >= 400)
  t.equal(new Set(times).size, times.length, 'no time comes twice')
  t.same(times, expected.slice(0, times.length), 'and the passes join without a hole')
})

test('two files of one folder keep their own checkpoints', async (t) => {
  const { folder, broker, checkpoints } = await scene(t)
  writeFileSync(join(folder, 'a.csv'), header + rows(5, 0, 1000))
  copyFileSync(join(folder, 'a.csv'), join(folder, 'b.csv'))
  await stream({ entries: [join(folder, 'a.csv'), join(folder, 'b.csv')], broker, checkpoints })
  t.equal(values(broker).length, 8)
  rmSync(join(folder, 'a.csv'))
  const { errors } = await stream({ entries: [join(folder, 'a.csv'), join(folder, 'b.csv')], broker, checkpoints })
  t.match(errors, [/a\.csv does not exist/])
})
