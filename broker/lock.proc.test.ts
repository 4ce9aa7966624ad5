import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { t as file, test } from 'tap'

import { startPenstock, startRole, temporaryFolder } from '#test/start'

import { FolderLock, holderOf } from './lock.ts'

file.setTimeout(600_000)

test('two brokers on one folder: the second is refused, and says what to do', async (t) => {
  const first = await startRole(t, 'broker')
  const env = { DATA_DIR: first.dataDir, PORT: '0' }
  const second = startPenstock(t, ['broker'], { env })
  t.strictSame(await second.exited, { code: 1, signal: null })
  t.match(second.tail(), new RegExp(`is in use by a broker \\(process ${first.pid}\\): stop it, or set DATA_DIR`))
  t.equal((await fetch(`${first.url}/ready`)).status, 200, 'the first goes on')

  await first.kill('SIGKILL')
  const third = await startRole(t, 'broker', { env: { DATA_DIR: first.dataDir } })
  t.match(holderOf(first.dataDir), { pid: third.pid }, 'a dead holder is no holder')
  await third.kill('SIGTERM')
  t.notOk(existsSync(join(first.dataDir, '.lock')))
})

test('what a crash left of a lock holds nobody up', async (t) => {
  for (const content of ['', '{"pid":', '{}', `{"pid":${process.pid},"since":""}`, '{"pid":4194305,"since":"1"}']) {
    const folder = temporaryFolder(t)
    writeFileSync(join(folder, '.lock'), content)
    t.equal(holderOf(folder), undefined, content)
    const lock = FolderLock.take(folder, 'broker')
    t.throws(() => FolderLock.take(folder, 'broker'), { message: /in use by a broker/ })
    lock.release()
    t.notOk(existsSync(join(folder, '.lock')))
  }
})
