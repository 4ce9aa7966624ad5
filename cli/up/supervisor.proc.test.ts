import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { t as file, test } from 'tap'
import { temporaryFolder } from '#test/start'
import type { Started } from '#test/started'
import { isAlive } from '#test/watchdog'
import { exportOf, fileOf, fileTimeoutMs, results, up } from '#test/up'

file.setTimeout(fileTimeoutMs)

/** The children's process ids by their names, once all of them listen. */
async function childrenOf(started: Started, folder: string): Promise<Record<string, number>> {
  await started.waitFor(/streamer .*listening/)
  const lock = JSON.parse(readFileSync(join(folder, 'data', 'up.lock'), 'utf8')) as {
    children: Record<string, { pid: number }>
  }
  return Object.fromEntries(Object.entries(lock.children).map(([name, { pid }]) => [name, pid]))
}

async function untilDead(pids: readonly number[]): Promise<void> {
  const deadlineMs = performance.now() + 10_000
  while (pids.some(isAlive)) {
    if (performance.now() > deadlineMs) throw new Error(`${pids.filter(isAlive).join()} still run`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('a child that is killed is started again, and the rows are exact at the end', async (t) => {
  const { folder, csv } = fileOf(t, exportOf(3_000))
  const started = up(t, folder, ['--csv', csv, '--once', '--rate', '1000'])
  const children = await childrenOf(started, folder)
  t.strictSame(Object.keys(children), ['broker-0', 'broker-1', 'proxy', 'collector', 'streamer'])
  for (const [name, pid] of Object.entries(children)) {
    process.kill(pid, 'SIGKILL')
    await started.waitFor((line) => line.includes(`${name} `) && line.includes('was killed by SIGKILL'))
  }
  t.strictSame(await started.exited, { code: 0, signal: null }, started.tail())
  t.strictSame(results(started), ['read 3000, stored 3000, dead-lettered 0'])
})

test('killed by -9 it leaves no process behind, and can be started again at once', async (t) => {
  const { folder, csv } = fileOf(t, exportOf(10))
  const started = up(t, folder, ['--csv', csv])
  const pids = Object.values(await childrenOf(started, folder))
  await started.kill('SIGKILL')
  const next = up(t, folder, ['--csv', csv, '--once'])
  t.strictSame(await next.exited, { code: 0, signal: null }, next.tail())
  t.strictSame(results(next), ['read 10, stored 10, dead-lettered 0'])
  await untilDead(pids)
})

test('a data folder has one up at a time, and SIGINT stops all of it with status 0', async (t) => {
  const { folder, csv } = fileOf(t, exportOf(10))
  const started = up(t, folder, ['--csv', csv])
  const pids = Object.values(await childrenOf(started, folder))
  await started.waitFor(/^read 10, stored 10/)
  const second = up(t, folder, ['--csv', csv])
  t.strictSame(await second.exited, { code: 1, signal: null })
  t.match(
    second.stderr.join('\n'),
    new RegExp(`another penstock up \\(process ${started.pid}\\) runs on .*set DATA_DIR`),
  )
  t.strictSame(await started.kill('SIGINT'), { code: 0, signal: null }, started.tail())
  t.strictSame(pids.filter(isAlive), [])
})

test('a port in use is named, with what to do, and nothing is left behind', async (t) => {
  const { folder, csv } = fileOf(t, exportOf(10))
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.on('listening', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const started = up(t, folder, ['--csv', csv], { PORT: String(port - 10) })
  t.strictSame(await started.exited, { code: 1, signal: null })
  t.match(started.stderr.join('\n'), new RegExp(`port ${port} is in use`))
})

test('with nothing to read it streams a demo fleet, apart from real data', async (t) => {
  const folder = temporaryFolder(t)
  const started = up(t, folder, [], { DEMO_HISTORY: '1m' })
  await started.waitFor(/DEMO/)
  await started.waitFor(/latest values .*data\/demo/)
  t.strictSame(await started.kill('SIGTERM'), { code: 0, signal: null }, started.tail())
})

test('wrong settings end it at once, one line each', async (t) => {
  const folder = temporaryFolder(t)
  const args = ['--csv', 'x.csv', '--once', '--loop', '--visibility-timeout', '-3s', '--port', '70000']
  const started = up(t, folder, args)
  t.strictSame(await started.exited, { code: 2, signal: null })
  t.match(started.stderr.join('\n'), /--port=70000: want a port from 1 to 65535/)
  const again = up(t, folder, args.slice(0, -2))
  t.strictSame(await again.exited, { code: 2, signal: null })
  t.match(again.stderr.join('\n'), /--visibility-timeout=-3s: want a duration from 1s to 12h/)
  t.match(again.stderr.join('\n'), /--once with --loop/)
})
