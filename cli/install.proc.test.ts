import { copyFileSync, existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { root, start, temporaryFolder, type Scope } from '#test/start'
import { skipWithout, tools } from '#test/tools'

const skip = skipWithout(tools.npm)

/** A checkout with one dependency, which is on the disk, so that `npm ci` needs no network. */
function checkout(t: Scope): string {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'cli'))
  mkdirSync(join(folder, 'dependency'))
  copyFileSync(join(root, 'cli/install.js'), join(folder, 'cli/install.js'))
  const manifest = { name: 'x', version: '1.0.0', type: 'module', dependencies: { dependency: 'file:./dependency' } }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  writeFileSync(join(folder, 'dependency/package.json'), '{"name":"dependency","version":"1.0.0"}')
  const packages = {
    '': { name: 'x', version: '1.0.0', dependencies: manifest.dependencies },
    dependency: { version: '1.0.0' },
    'node_modules/dependency': { resolved: 'dependency', link: true },
  }
  const lock = { name: 'x', version: '1.0.0', lockfileVersion: 3, requires: true, packages }
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify(lock, null, 2))
  return folder
}

function install(t: Scope, cwd: string) {
  return start(t, process.execPath, [join(cwd, 'cli/install.js')], { cwd })
}

test('it installs once, and again only for another lockfile', { skip }, async (t) => {
  const folder = checkout(t)
  const first = install(t, folder)
  t.match(await first.exited, { code: 0 }, first.tail())
  t.match(first.stderr.at(-1), /dependencies installed in \d+ s/)
  t.strictSame(first.stdout, [], 'standard output is left to the command that follows')
  t.ok(existsSync(join(folder, 'node_modules/dependency')))

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

test('of two at once, one installs and both succeed', { skip }, async (t) => {
  const folder = checkout(t)
  const both = [install(t, folder), install(t, folder)]
  for (const one of both) t.match(await one.exited, { code: 0 }, one.tail())
  const installed = both.filter((one) => one.stderr.some((line) => line.includes('installed in')))
  t.equal(installed.length, 1)
  t.notOk(existsSync(join(folder, '.penstock-installing')))
})

test('what a killed one left behind does not block the next', { skip }, async (t) => {
  const folder = checkout(t)
  writeFileSync(join(folder, '.penstock-installing'), '1\n')
  utimesSync(join(folder, '.penstock-installing'), new Date(0), new Date(0))
  const next = install(t, folder)
  t.match(await next.exited, { code: 0 }, next.tail())
})

test('a failed npm ci is told, and tried again the next time', { skip }, async (t) => {
  const folder = checkout(t)
  writeFileSync(join(folder, 'package-lock.json'), '{"name":"x","version":"1.0.0","lockfileVersion":3,"packages":{}}')
  for (const attempt of ['first', 'second']) {
    const failed = install(t, folder)
    t.match(await failed.exited, { code: 1 }, attempt)
    t.match(failed.stderr.join('\n'), /`npm ci` failed \(status 1\)[^]*run the same command again/, attempt)
  }
})
