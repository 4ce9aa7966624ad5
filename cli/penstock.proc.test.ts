import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { root, start, temporaryFolder, type Scope } from '#test/start'

/** Where the threads of a process can be counted. */
const isLinux = process.platform === 'linux'

/** A checkout whose main.ts says what it got, answers SIGTERM with status 7, and ends by itself when told so. */
const main = `
process.on('SIGTERM', () => process.exit(7))
console.log(JSON.stringify({ major: parseInt(process.versions.node), args: process.argv.slice(2) }))
if (process.argv.includes('end')) process.exit(3)
setInterval(() => {}, 1000)
`

function checkout(t: Scope, parts: { modules?: boolean; pinned?: string }): string {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'cli'))
  copyFileSync(join(root, 'cli/penstock.js'), join(folder, 'cli/penstock.js'))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(join(folder, 'cli/main.ts'), main)
  // Runs the launcher as an old Node would, as far as the launcher can see.
  const old =
    "const versions = { ...process.versions, node: '20.1.0' }\nObject.defineProperty(process, 'versions', { value: versions })"
  writeFileSync(join(folder, 'old.js'), `${old}\nawait import("./cli/penstock.js")`)
  if (parts.modules !== false) mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true })
  if (parts.pinned !== undefined) {
    mkdirSync(join(folder, 'node_modules/node'))
    writeFileSync(join(folder, 'node_modules/node/package.json'), JSON.stringify({ version: parts.pinned }))
    symlinkSync(process.execPath, join(folder, 'node_modules/.bin/node'))
  }
  return folder
}

function launch(t: Scope, cwd: string, file: 'cli/penstock.js' | 'old.js', args: string[] = []) {
  return start(t, process.execPath, [join(cwd, file), ...args], { cwd })
}

test('on a new enough Node it runs main.ts itself', async (t) => {
  const launched = launch(t, checkout(t, {}), 'cli/penstock.js', ['lag', 'end'])
  t.match(await launched.exited, { code: 3 })
  t.match(JSON.parse(launched.stdout[0] ?? ''), { args: ['lag', 'end'] })
})

test('files are written on sixteen threads, unless the environment says otherwise', { skip: !isLinux }, async (t) => {
  const folder = checkout(t, {})
  writeFileSync(
    join(folder, 'cli/main.ts'),
    `import { readFileSync, readdirSync } from 'node:fs'
    import { stat } from 'node:fs/promises'
    await stat('.')
    const names = readdirSync('/proc/self/task').map((task) => readFileSync('/proc/self/task/' + task + '/comm', 'utf8'))
    console.log(names.filter((name) => name.startsWith('libuv-worker')).length)`,
  )
  const threads = async (env: Record<string, string>) => {
    const launched = start(t, process.execPath, [join(folder, 'cli/penstock.js')], { cwd: folder, env })
    await launched.exited
    return launched.stdout[0]
  }
  t.equal(await threads({}), '16')
  t.equal(await threads({ UV_THREADPOOL_SIZE: '5' }), '5')
})

test('on an old Node it runs on the pinned one, with the same arguments and status', async (t) => {
  const launched = launch(t, checkout(t, { pinned: '24.21.0' }), 'old.js', ['--rate', 'a b', 'end'])
  t.match(await launched.exited, { code: 3 }, launched.tail())
  t.match(JSON.parse(launched.stdout[0] ?? ''), { major: 24, args: ['--rate', 'a b', 'end'] })
})

test('signals reach the Node that it started, and its end is repeated', async (t) => {
  const folder = checkout(t, { pinned: '24.21.0' })
  const stopped = launch(t, folder, 'old.js')
  await stopped.waitFor(/major/)
  t.match(await stopped.kill('SIGTERM'), { code: 7 }, 'main.ts had its say')

  const killed = launch(t, folder, 'old.js')
  await killed.waitFor(/major/)
  t.match(await killed.kill('SIGINT'), { signal: 'SIGINT' }, 'main.ts does not catch this one')
})

test('it says what to do where it cannot run', async (t) => {
  const bare = launch(t, checkout(t, { modules: false }), 'old.js')
  t.match(await bare.exited, { code: 1 })
  t.match(bare.stderr.join(), /dependencies are not installed: run `npm ci`/)

  const unpinned = launch(t, checkout(t, {}), 'old.js')
  t.match(await unpinned.exited, { code: 1 })
  t.match(unpinned.stderr.join(), /needs Node 24 or newer, and this is v.*: run `npm ci` in this checkout/)

  const stale = launch(t, checkout(t, { pinned: '22.0.0' }), 'old.js')
  t.match(await stale.exited, { code: 1 }, 'a pinned Node that is too old itself is not started')
})
