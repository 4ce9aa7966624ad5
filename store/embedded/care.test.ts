import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'tap'
import { batchOf, gpuRecord, partOf } from '../samples.ts'
import { backUp, checkStore, reportOf, vacuum } from './care.ts'
import { EmbeddedStore } from './engine.ts'
import { manualClock } from '#lib/clock'

const startMs = Date.parse('2025-07-18T20:00:00Z')

interface Scope {
  teardown(callback: () => unknown): void
}

/** A store with two sealed hours of ten series, and one that goes on; its collector writes. */
async function filled(t: Scope) {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-care-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'penstock.db')
  const clock = manualClock(startMs)
  const store = await EmbeddedStore.open(path, { clock })
  t.teardown(() => store.close().catch(() => undefined))
  const records = Array.from({ length: 2500 }, (_, n) =>
    gpuRecord({ uuid: `GPU-${n % 10}`, time: new Date(startMs + Math.floor(n / 10) * 30_000).toISOString(), value: n }),
  )
  await store.write(batchOf(partOf(records)))
  clock.advance(2.5 * 3_600_000)
  while (await store.upkeep(clock.wallMs()));
  return { folder, path, store }
}

test('the report has what each table takes, and how many samples that are', async (t) => {
  const { path } = await filled(t)
  const report = reportOf(path)
  t.equal(report.samples, 2500)
  const table = (name: string) => report.tables.find(({ table }) => table === name)
  t.match(table('blocks'), { rows: 20, samples: 2400 })
  t.match(table('points'), { rows: 100, samples: 100 })
  t.ok((table('series')?.bytes ?? 0) >= 4 * 4096, 'with its indexes')
  t.throws(() => reportOf(`${path}.other`), { code: 'missing' })
})

test('a sound store is found sound, and damage of a block is found in either half', async (t) => {
  const { path, store } = await filled(t)
  t.same(checkStore(path), { troubles: [], blocks: 20, samples: 2400 })
  await store.close()
  const db = new DatabaseSync(path)
  const spoil = (sql: string) => db.exec(sql)
  spoil('UPDATE blocks SET rows = substr(rows, 1, length(rows) - 1) WHERE series = 2')
  spoil('UPDATE blocks SET rollup = (SELECT rollup FROM blocks WHERE series = 4) WHERE series = 3')
  t.match(checkStore(path).troubles, [
    /^the block of series 2 from 2025-07-18T20:00:00Z on: its checksum is wrong$/,
    /^the block of series 3 .*: its rollup is not that of its rows$/,
    /^the block of series 2 from 2025-07-18T21/,
    /^the block of series 3/,
  ])
  spoil('DELETE FROM blocks WHERE series IN (2, 3)')
  t.match(checkStore(path).troubles[0], /^the hour from 2025-07-18T20:00:00Z on has 960 samples, not 1200$/)
  db.close()
})

test('a copy is whole, and an open store goes on', async (t) => {
  const { folder, path, store } = await filled(t)
  const file = join(folder, 'copy.db')
  backUp(path, file)
  t.notOk(existsSync(`${file}.partial`))
  t.throws(() => backUp(path, file), { message: /copy\.db: it is there already/ })
  await store.write(batchOf(partOf([gpuRecord({ uuid: 'GPU-new' })], 2500)))
  const copy = await EmbeddedStore.open(file, { readOnly: true })
  t.equal((await copy.totals()).received, 2500)
  t.equal((await store.totals()).received, 2501)
  await copy.close()
  t.same(checkStore(file), { troubles: [], blocks: 20, samples: 2400 })
})

test('a vacuum gives space back, and not while a collector writes', async (t) => {
  const { path, store } = await filled(t)
  t.throws(() => vacuum(path), { code: 'in_use' })
  await store.close()
  const db = new DatabaseSync(path)
  db.exec('PRAGMA auto_vacuum = NONE; VACUUM; CREATE TABLE x AS SELECT zeroblob(400000); DROP TABLE x')
  db.close()
  const before = statSync(path).size
  vacuum(path)
  t.ok(statSync(path).size < before, `${statSync(path).size} of ${before} bytes`)
  const after = new DatabaseSync(path)
  t.match({ ...after.prepare('PRAGMA auto_vacuum').get() }, { auto_vacuum: 2 })
  after.close()
  t.throws(() => vacuum(`${path}.other`), { code: 'missing' })
  t.notOk(existsSync(`${path}.other.lock`))
})
