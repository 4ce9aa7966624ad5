import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'tap'
import { batchOf, gpuRecord, partOf } from '../samples.ts'
import { EmbeddedStore } from './engine.ts'
import { applicationId, migrations, migrationsTable } from './schema.ts'

interface Scope {
  teardown(callback: () => unknown): void
}

test('a second connection reads what is written, while it is written', async (t) => {
  const path = pathOf(t)
  const writer = await EmbeddedStore.open(path)
  const reader = await EmbeddedStore.open(path, { readOnly: true })
  await writer.write(batchOf(partOf([gpuRecord({ value: 1 })])))
  t.match(await reader.latest(), [{ value: 1 }])
  await writer.write(batchOf(partOf([gpuRecord({ value: 2, time: '2025-07-18T20:42:35Z' })], 1)))
  t.match(await reader.latest(), [{ value: 2 }])
  t.equal((await reader.totals()).received, 2)
  t.ok((await reader.bytes()) > 0)
  await t.rejects(reader.write(batchOf(partOf([gpuRecord()]))), { code: 'read_only' })
  await writer.close()
  t.match(await reader.latest(), [{ value: 2 }], 'and after the writer has gone')
  await reader.close()
  const alone = await EmbeddedStore.open(path, { readOnly: true })
  t.equal((await alone.totals()).received, 2)
  await alone.close()
})

test('a second writer is refused, until the first one closes', async (t) => {
  const path = pathOf(t)
  const first = await EmbeddedStore.open(path)
  await t.rejects(EmbeddedStore.open(path), { code: 'in_use', retry: false, message: /another process writes to it/ })
  await first.close()
  await (await EmbeddedStore.open(path)).close()
})

test('a full disk is told, nothing of the batch stays, and writing goes on once there is space', async (t) => {
  const path = pathOf(t)
  await (await EmbeddedStore.open(path)).close()
  const small = await EmbeddedStore.open(path, { pagesMax: 40 })
  const records = Array.from({ length: 20_000 }, (_, n) =>
    gpuRecord({ uuid: `GPU-${n % 50}`, time: new Date(n * 1000).toISOString(), value: n }),
  )
  await t.rejects(small.write(batchOf(partOf(records))), {
    code: 'disk_full',
    retry: true,
    message: /the disk is full/,
  })
  t.same(await small.latest(), [])
  t.equal((await small.totals()).received, 0)
  await small.write(batchOf(partOf(records.slice(0, 100))))
  t.equal((await small.latest()).length, 50)
  await small.close()
  const roomy = await EmbeddedStore.open(path)
  t.match(await roomy.write(batchOf(partOf(records))), { received: 19_900, stored: 19_900, duplicate: 0 })
  await roomy.close()
})

test("another program's lock is told, and passes", async (t) => {
  const path = pathOf(t)
  const store = await EmbeddedStore.open(path)
  const intruder = new DatabaseSync(path)
  intruder.exec('BEGIN IMMEDIATE')
  await t.rejects(store.write(batchOf(partOf([gpuRecord()]))), { code: 'locked', retry: true })
  intruder.exec('ROLLBACK')
  intruder.close()
  t.match(await store.write(batchOf(partOf([gpuRecord()]))), { stored: 1 })
  await store.close()
})

test('what is no store of ours is left alone', async (t) => {
  const path = pathOf(t)
  writeFileSync(path, 'this is a text, and long enough to be taken for the head of a file of a database'.repeat(20))
  await t.rejects(EmbeddedStore.open(path), { code: 'not_a_store' })
  t.match(readFileSync(path, 'utf8'), /^this is a text/)
  rmSync(path)
  const foreign = new DatabaseSync(path)
  foreign.exec('CREATE TABLE customers (id INTEGER)')
  foreign.close()
  await t.rejects(EmbeddedStore.open(path), { code: 'not_a_store', message: /another program's database/ })
  await t.rejects(EmbeddedStore.open(path, { readOnly: true }), { code: 'not_a_store' })
})

test('a newer schema is refused by writers and readers, with both versions', async (t) => {
  const path = pathOf(t)
  await (await EmbeddedStore.open(path)).close()
  const db = new DatabaseSync(path)
  db.exec(`PRAGMA user_version = ${migrations.length + 7}`)
  db.close()
  const message = new RegExp(
    `version ${migrations.length + 7} and this program knows versions up to ${migrations.length}`,
  )
  await t.rejects(EmbeddedStore.open(path), { code: 'newer_schema', retry: false, message })
  await t.rejects(EmbeddedStore.open(path, { readOnly: true }), { code: 'newer_schema', message })
})

test('a damaged file is told', async (t) => {
  const path = pathOf(t)
  const store = await EmbeddedStore.open(path)
  const records = Array.from({ length: 5000 }, (_, n) => gpuRecord({ time: new Date(n * 1000).toISOString() }))
  await store.write(batchOf(partOf(records)))
  await store.close()
  const bytes = readFileSync(path)
  // All but the first page, which holds the header and the schema.
  writeFileSync(path, bytes.fill(0xa5, 4096))
  const opened = EmbeddedStore.open(path).then((store) => store.range({ metric: 'DCGM_FI_DEV_GPU_UTIL' }))
  await t.rejects(opened, { code: 'corrupt', retry: false })
})

test('a folder that cannot be made, and a store that is not there, say where', async (t) => {
  const path = pathOf(t)
  writeFileSync(path, '')
  await t.rejects(EmbeddedStore.open(join(path, 'below', 'penstock.db')), { code: 'read_only', message: /below/ })
  await t.rejects(EmbeddedStore.open(`${path}.other`, { readOnly: true }), { code: 'missing' })
})

test('each step of the schema is noted in the file', async (t) => {
  const path = pathOf(t)
  await (await EmbeddedStore.open(path)).close()
  const db = new DatabaseSync(path, { readOnly: true })
  const rows = db.prepare('SELECT version, name FROM migrations').all()
  t.same(
    rows.map((row) => ({ ...row })),
    migrations.map(({ name }, index) => ({ version: index + 1, name })),
  )
  t.match(db.prepare('PRAGMA user_version').get(), { user_version: migrations.length })
  t.match(db.prepare('PRAGMA application_id').get(), { application_id: applicationId })
  db.close()
})

test('a store of the first version is carried over, with all that is in it', async (t) => {
  const path = pathOf(t)
  const db = new DatabaseSync(path)
  db.exec(
    `PRAGMA application_id = ${applicationId}; ${migrationsTable}; ${migrations[0]?.sql}; PRAGMA user_version = 1`,
  )
  db.exec(`
    INSERT INTO migrations VALUES (1, 'points', '2025-07-18T00:00:00Z');
    INSERT INTO gpus VALUES (1, 'GPU-a', '', 'host-1', '0', 'nvidia0', 'H100', '', '', '', '{}');
    INSERT INTO series VALUES (1, 'GPU-a' || char(0) || char(0) || 'DCGM_FI_DEV_GPU_UTIL', 'DCGM_FI_DEV_GPU_UTIL', 1, '{}');
    INSERT INTO points VALUES (1752871354, 1, 0, 7.5);
    INSERT INTO latest VALUES (1, 1752871354, 0, 1752871354, 0, 7.5);
  `)
  db.close()
  const store = await EmbeddedStore.open(path)
  const record = gpuRecord({ value: 7.5, pod: 'p' })
  t.match(await store.write(batchOf(partOf([record]))), { stored: 0, duplicate: 1 })
  while (await store.upkeep(Date.parse('2025-07-19T00:00:00Z') + 1e12));
  t.match(await store.range({ metric: record.metric }), [
    { uuid: 'GPU-a', values: [{ time: '2025-07-18T20:42:34Z', value: 7.5 }] },
  ])
  t.match(await store.owners(), [{ pod: 'p', to: null }])
  await store.close()
})

test('a disk that is full while an hour is sealed loses nothing, and sealing goes on once there is space', async (t) => {
  const path = pathOf(t)
  const store = await EmbeddedStore.open(path)
  const records = Array.from({ length: 20_000 }, (_, n) =>
    gpuRecord({ uuid: `GPU-${n % 50}`, time: new Date(Math.floor(n / 50) * 1000).toISOString(), value: n / 7 }),
  )
  await store.write(batchOf(partOf(records)))
  const before = await store.range({ metric: 'DCGM_FI_DEV_GPU_UTIL' })
  await store.close()
  const pages = new DatabaseSync(path)
  const { page_count: pagesMax } = pages.prepare('PRAGMA page_count').get() as { page_count: number }
  pages.close()
  const full = await EmbeddedStore.open(path, { pagesMax })
  await t.rejects(full.upkeep(1e12), { code: 'disk_full', retry: true })
  t.same(await full.range({ metric: 'DCGM_FI_DEV_GPU_UTIL' }), before)
  await full.close()
  const roomy = await EmbeddedStore.open(path)
  while (await roomy.upkeep(1e12));
  t.same(await roomy.range({ metric: 'DCGM_FI_DEV_GPU_UTIL' }), before)
  await roomy.close()
})

function pathOf(t: Scope): string {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-embedded-'))
  mkdirSync(join(folder, 'store'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'store', 'penstock.db')
}
