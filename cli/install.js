// Runs before `npm start` and `npm test`: brings node_modules to what package-lock.json says, and does nothing when it
// is there already. Plain JavaScript for the Node that a machine happens to have (20 is enough), because the Node that
// the rest wants is itself one of the things installed here.
//
//   node cli/install.js            install when node_modules is missing or was made from another lockfile
//   node cli/install.js --stamp    only note that node_modules fits the lockfile (npm's `dependencies` script, which npm
//                                  runs after `npm ci` and `npm install` changed node_modules)

import { spawn } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { linkSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const lockfile = join(root, 'package-lock.json')

/** Holds the hash of the lockfile that node_modules was made from. It goes when npm removes node_modules. */
const stamp = join(root, 'node_modules', '.penstock-lock')

/** Held, and touched every second, by the one process that installs; not inside node_modules, which npm removes. */
const mutex = join(root, '.penstock-installing')
const mutexStaleMs = 15_000

if (process.argv.includes('--stamp')) writeStamp()
else if (!isInstalled()) await installAlone()

/** Waits for whoever installs already, then installs unless that was enough. */
async function installAlone() {
  let waiting = false
  while (!takeMutex()) {
    if (!waiting) say('another process is installing the dependencies: waiting for it')
    waiting = true
    await sleep(500)
  }
  const touch = setInterval(touchMutex, 1_000)
  try {
    if (!isInstalled()) process.exitCode = await install()
  } finally {
    clearInterval(touch)
    rmSync(mutex, { force: true })
  }
}

/** @returns {Promise<number>} the status to exit with */
async function install() {
  const startedMs = Date.now()
  const seconds = () => `${Math.round((Date.now() - startedMs) / 1_000)} s`
  say('installing the dependencies with `npm ci` (once; half a minute, more on a slow network)')
  const progress = setInterval(() => say(`still installing, ${seconds()}`), 10_000)
  const failure = await npmCi()
  clearInterval(progress)
  if (failure === undefined) {
    writeStamp()
    say(`dependencies installed in ${seconds()}`)
    return 0
  }
  say(`\`npm ci\` failed (${failure}) in ${root}; its own message stands above.`)
  say('It needs the npm registry, or a cache or mirror of it (`npm config get registry` tells which), and a')
  say('package-lock.json that fits package.json. Put that right, then run the same command again.')
  return 1
}

/**
 * @returns {Promise<string | undefined>} why it failed, if it did
 */
function npmCi() {
  // --include=dev: NODE_ENV=production or omit=dev would leave out the Node that everything runs on.
  const args = ['ci', '--loglevel=error', '--include=dev', '--no-audit', '--no-fund']
  // The npm that called us, on the Node that it runs on: `node` of the PATH may be the one in node_modules, which goes.
  const { npm_execpath: npm, npm_node_execpath: node } = process.env
  const [command, first] = npm?.endsWith('npm-cli.js') ? [node ?? process.execPath, [npm]] : ['npm', []]
  const shell = command === 'npm' && process.platform === 'win32'
  return new Promise((resolve) => {
    // What npm prints goes to standard error: standard output belongs to the command that comes after this one.
    const child = spawn(command, [...first, ...args], { cwd: root, stdio: ['ignore', 2, 2], shell })
    for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
      process.on(signal, () => child.kill(signal))
    }
    child.on('error', (error) => resolve(`npm cannot be started: ${error.message}`))
    child.on('close', (code, signal) => resolve(code === 0 ? undefined : signal ? `by ${signal}` : `status ${code}`))
  })
}

function isInstalled() {
  try {
    return readFileSync(stamp, 'utf8').trim() === lockfileHash()
  } catch {
    return false
  }
}

function writeStamp() {
  writeFileSync(stamp, `${lockfileHash()}\n`)
}

function lockfileHash() {
  return createHash('sha256').update(readFileSync(lockfile)).digest('hex')
}

/** @returns {boolean} false while another live process has it */
function takeMutex() {
  try {
    writeFileSync(mutex, `${process.pid}\n`, { flag: 'wx' })
    return true
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error
  }
  if (ageMs(mutex) > mutexStaleMs) clearStaleMutex()
  return false
}

/** Moves a dead process's mutex away. Of two that try, one may catch the other's new mutex, and gives it back. */
function clearStaleMutex() {
  const aside = `${mutex}-${randomUUID()}`
  try {
    renameSync(mutex, aside)
    if (ageMs(aside) <= mutexStaleMs) linkSync(aside, mutex)
  } catch {
    // Somebody else was faster; the next round sees what there is.
  }
  rmSync(aside, { force: true })
}

function touchMutex() {
  const now = new Date()
  try {
    utimesSync(mutex, now, now)
  } catch {
    // Taken away as stale after this process was stopped for a while: the other one installs again, which is safe.
  }
}

/** @param {string} path */
function ageMs(path) {
  try {
    return Date.now() - statSync(path).mtimeMs
  } catch {
    return 0
  }
}

/** @param {string} text */
function say(text) {
  process.stderr.write(`penstock: ${text}\n`)
}
