import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { root, start, temporaryFolder } from './start.ts'
import { isAlive } from './watchdog.ts'

/** A process that starts two others, one in its group and one in a group of its own, and tells their numbers. */
const family = `
const { spawn } = require('node:child_process')
const near = spawn('sleep', ['600'], { stdio: 'ignore' })
const far = spawn('sleep', ['600'], { stdio: 'ignore', detached: true })
console.log(JSON.stringify({ pids: [process.pid, near.pid, far.pid] }))
setInterval(() => {}, 1000)
`

/** A process alone. */
const bare = 'console.log(JSON.stringify({ pids: [process.pid] })); setInterval(() => {}, 1000)'

async function untilGone(pids: readonly number[]): Promise<number[]> {
  let left = pids.filter(isAlive)
  for (let tries = 0; left.length > 0 && tries < 500; tries++) {
    await sleep(20)
    left = left.filter(isAlive)
  }
  return left
}

function pidsOf(line: string): number[] {
  return (JSON.parse(line) as { pids: number[] }).pids
}

test('a child and what it started end with the test', async (t) => {
  let pids: number[] = []
  await t.test('a test that leaves its child running', async (t) => {
    const child = start(t, process.execPath, ['-e', family])
    pids = pidsOf(await child.waitFor(/pids/))
    t.ok(pids.every(isAlive), 'all three run during the test')
  })
  t.strictSame(await untilGone(pids.slice(0, 2)), [], 'the process group is gone after it')
  for (const pid of pids.filter(isAlive)) process.kill(pid, 'SIGKILL')
})

test('children die when the test process itself is killed', { skip: process.platform === 'win32' }, async (t) => {
  const script = `
    import { start } from './test/start.ts'
    const child = start({ teardown() {} }, process.execPath, ['-e', ${JSON.stringify(family)}])
    console.log(await child.waitFor(/pids/))
    setInterval(() => {}, 1000)
  `
  const runner = start(t, process.execPath, ['--input-type=module', '-e', script], { cwd: root })
  const pids = pidsOf(await runner.waitFor(/pids/))
  t.ok(pids.every(isAlive), 'the whole family runs')
  await runner.kill('SIGKILL')
  // Only Linux lets the watchdog find a child that left its process group.
  const watched = process.platform === 'linux' ? pids : pids.slice(0, 2)
  t.strictSame(await untilGone(watched), [])
})

test(
  'a child without the mark in its environment dies with its group',
  { skip: process.platform === 'win32' },
  async (t) => {
    // As redis-server's, which it has written its title over.
    const script = `
    import { start } from './test/start.ts'
    const child = start({ teardown() {} }, 'env', ['-i', process.execPath, '-e', ${JSON.stringify(bare)}])
    console.log(await child.waitFor(/pids/))
    setInterval(() => {}, 1000)
  `
    const runner = start(t, process.execPath, ['--input-type=module', '-e', script], { cwd: root })
    const pids = pidsOf(await runner.waitFor(/pids/))
    await runner.kill('SIGTERM')
    const left = await untilGone(pids)
    for (const pid of left) process.kill(pid, 'SIGKILL')
    t.strictSame(left, [])
  },
)

test('a child sees neither the settings of the shell nor the hooks of tap', async (t) => {
  process.env['QUEUE_SIZE'] = '1'
  t.teardown(() => delete process.env['QUEUE_SIZE'])
  const child = start(t, process.execPath, ['-p', 'JSON.stringify(process.env)'], { env: { TOPICS: 'a' } })
  const env = JSON.parse(await child.waitFor(/^\{/)) as Record<string, string>
  t.equal(env['QUEUE_SIZE'], undefined)
  t.equal(env['NODE_OPTIONS'], undefined)
  t.equal(env['TOPICS'], 'a')
})

test('a test that starts nothing but failures hears why', async (t) => {
  const missing = start(t, 'no-such-command-of-penstock', [])
  await t.rejects(missing.waitFor(/listening/), /no-such-command-of-penstock.*ended with status 127/)
  t.match(await missing.exited, { code: 127 })

  const early = start(t, process.execPath, ['-e', 'console.error("disk on fire"); process.exit(3)'])
  await t.rejects(early.waitFor(/listening/), /ended with status 3\ndisk on fire/)
  t.strictSame(await early.exited, { code: 3, signal: null })

  const silent = start(t, process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { cwd: temporaryFolder(t) })
  await t.rejects(silent.waitFor(/listening/, 50), /nothing within 0.05 s/)
  t.strictSame(await silent.kill(), { code: null, signal: 'SIGTERM' })
})
