import { copyFileSync, existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { root, start, temporaryFolder, type Scope } from '#test/start'

/**
 * As much of npm as install.js sees, and quick: `ci` replaces node_modules, and fails for a lockfile that says so. The real
 * one is what every fresh clone runs first.
 */
const npm = `
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
console.log('npm', ...process.argv.slice(2, 3))
if (readFileSync('package-lock.json', 'utf8').includes('torn')) process.exit(1)
rmSync('node_modules', { recursive: true, force: true })
await new Promise((resolve) => setTimeout(resolve, 200))
mkdirSync('node_modules')
`

function checkout(t: Scope): string {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'cli'))
  copyFileSync(join(root, 'cli/install.js'), join(folder, 'cli/install.js'))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(join(folder, 'package-lock.json'), '{}')
  writeFileSync(join(folder, 'npm-cli.js'), npm)
  return folder
}

function install(t: Scope, cwd: string) {
  const env = { npm_execpath: join(cwd, 'npm-cli.js'), npm_node_execpath: process.execPath }
  return start(t, process.execPath, [join(cwd, 'cli/install.js')], { cwd, env })
}

test('it installs once, and again only for another lockfile', async (t) => {
  const folder = checkout(t)
  const first = install(t, folder)
  t.match(await first.exited, { code: 0 }, first.tail())
  t.match(first.stderr.at(-1), /dependencies installed in \d+ s/)
  t.strictSame(first.stdout, [], 'standard output is left to the command that follows')
  t.ok(existsSync(join(folder, 'node_modules')))

  const second = install(t, folder)
  t.match(await second.exited, { code: 0 })
  t.strictSame(second.stderr, [], 'it has nothing to say')

  const lockfile = join(folder, 'package-lock.json')
  writeFileSync(lockfile, `${readFileSync(lockfile, 'utf8')}\n`)
  const third = install(t, folder)
  await third.exited
  t.match(third.stderr.join(), /installing/)

  utimesSync(lockfile, 0, 0)
  const fourth = install(t, folder)
  await fourth.exited
  t.strictSame(fourth.stderr, [], 'the time of the lockfile says nothing')
})

test('of two at once, one installs and both succeed', async (t) => {
  const folder = checkout(t)
  const both = [install(t, folder), install(t, folder)]
  for (const one of both) t.match(await one.exited, { code: 0 }, one.tail())
  const installed = both.filter((one) => one.stderr.some((line) => line.includes('installed in')))
  t.equal(installed.length, 1)
  t.notOk(existsSync(join(folder, '.penstock-installing')))
})

test('what a killed one left behind does not block the next', async (t) => {
  const folder = checkout(t)
  writeFileSync(join(folder, '.penstock-installing'), '1\n')
  utimesSync(join(folder, '.penstock-installing'), new Date(0), new Date(0))
  const next = install(t, folder)
  t.match(await next.exited, { code: 0 }, next.tail())
})

test('a failed npm ci is told, and tried again the next time', async (t) => {
  const folder = checkout(t)
  writeFileSync(join(folder, 'package-lock.json'), '{"torn":true}')
  for (const attempt of ['first', 'second']) {
    const failed = install(t, folder)
    t.match(await failed.exited, { code: 1 }, attempt)
    t.match(failed.stderr.join('\n'), /`npm ci` failed \(status 1\)[^]*run the same command again/, attempt)
  }
})
