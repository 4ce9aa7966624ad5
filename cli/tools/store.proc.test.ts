import { join } from 'node:path'
import { t as file, test } from 'tap'
import { openStore } from '#store/open'
import { startPenstock, temporaryFolder, type Scope } from '#test/start'

// Each command is a process, on two shared cores.
file.setTimeout(600_000)

async function outcome(t: Scope, ...args: readonly string[]) {
  const { exited, stdout, stderr } = startPenstock(t, args)
  const { code } = await exited
  return { code, out: stdout.join('\n'), err: stderr.join('\n') }
}

test('the file of a store is reported on, checked and copied beside its writer, and compacted after it', async (t) => {
  const dataDir = temporaryFolder(t)
  const store = await openStore({ dataDir })
  t.teardown(() => store.close().catch(() => undefined))
  const copy = join(dataDir, 'copy.db')
  const run = (...args: string[]) => outcome(t, 'store', ...args, '--data-dir', dataDir)
  t.match(await run('report'), { code: 0, out: /^TABLE[^]*^points[^]*free, 0 samples, - bytes a sample$/m })
  t.match(await run('check'), { code: 0, out: /is sound: 0 blocks with 0 samples/ })
  t.match(await run('backup', copy), { code: 0, out: `copied to ${copy}` })
  t.match(await run('backup', copy), { code: 1, err: /copy\.db: it is there already/ })
  t.match(await run('vacuum'), { code: 1, err: /another process writes to it/ })
  await store.close()
  t.match(await run('vacuum'), { code: 0, out: / before, .* now/ })
  t.match(await run('chekc'), {
    code: 2,
    err: /want report, check, backup, vacuum, not "chekc" \(did you mean check\?\)/,
  })
})
