import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { t as file, test } from 'tap'
import { startPenstock } from '#test/start'
import { exportOf, fileOf, fileTimeoutMs, results, up } from '#test/up'

file.setTimeout(fileTimeoutMs)

test('a file once: every row is settled, and a later run says the same, whatever came between', async (t) => {
  const { folder, csv } = fileOf(t, exportOf(500))
  const other = join(folder, 'other.csv')
  writeFileSync(other, exportOf(20, 10_000))
  for (const [given, rows] of [
    [csv, 500],
    [other, 20],
    [csv, 500],
  ] as const) {
    const started = up(t, folder, ['--csv', given, '--once'])
    t.strictSame(await started.exited, { code: 0, signal: null }, started.tail())
    t.strictSame(results(started), [`read ${rows}, stored ${rows}, dead-lettered 0`])
  }
  const query = startPenstock(t, ['query', '--data-dir', join(folder, 'data'), '--json'])
  await query.exited
  t.match(JSON.parse(query.stdout[0] ?? '{}'), { uuid: 'GPU-1', time: '2026-01-01T02:46:59Z', value: 19 })
})

test('rows that are no records are dead-lettered, and the sum holds', async (t) => {
  const { folder, csv } = fileOf(t, `${exportOf(10)}"yesterday","DCGM_FI_DEV_GPU_UTIL","0"\n`)
  const started = up(t, folder, ['--csv', csv, '--once'])
  t.strictSame(await started.exited, { code: 0, signal: null }, started.tail())
  t.strictSame(results(started), ['read 11, stored 10, dead-lettered 1'])
})

test('a missing file is one clear line, and the end is not 0', async (t) => {
  const { folder, csv } = fileOf(t, exportOf(10))
  const started = up(t, folder, ['--csv', csv, '--csv', join(folder, 'missing.csv'), '--once'])
  t.strictSame(await started.exited, { code: 1, signal: null })
  t.strictSame(results(started), ['read 10, stored 10, dead-lettered 0'], 'the run goes on where it can')
  t.equal(started.stderr.filter((line) => line.includes('missing.csv')).length, 1, started.tail())
})

test('what is piped in is settled, twice, and each run has its own sum', async (t) => {
  const { folder } = fileOf(t, '')
  const env = { PORT: '0', DATA_DIR: join(folder, 'data') }
  for (const [rows, from] of [
    [30, 0],
    [20, 30],
  ] as const) {
    const started = startPenstock(t, ['up', '--csv', '-', '--once'], { env, stdin: 'pipe' })
    started.stdin?.end(exportOf(rows, from))
    t.strictSame(await started.exited, { code: 0, signal: null }, started.tail())
    t.strictSame(results(started), [`read ${rows}, stored ${rows}, dead-lettered 0`])
  }
})
