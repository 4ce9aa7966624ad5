/**
 * A broker on disks that are full or cannot be written, and with more logs than it may open files: on each HTTP engine, where it
 * comes as far as to listen.
 */

import { spawnSync } from 'node:child_process'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { t as thisFile, test } from 'tap'

import { Client, type Message } from '#wire/client'

import { startPenstock, startRole, temporaryFolder, type Scope, type StartedRole } from './start.ts'
import { fillUp, mounted, skipWithoutMounts as skip } from './disks.ts'
import { debian13Path, roleEngines, skipWithout, tools } from './tools.ts'

const isFull = process.env['PENSTOCK_TEST_FULL'] === '1'

thisFile.setTimeout(isFull ? 1_200_000 : 600_000)

const MiB = 2 ** 20

for (const { engine, skip: noEngine, under: underEngine, env: ofEngine } of roleEngines()) {
  test(
    `${engine}: full disk: produce is refused, consume and ack go on, also after kill -9; freed, it takes on`,
    { skip: noEngine || skip },
    async (t) => {
      const disk = await mounted(t, (folder) => `mount -t tmpfs -o size=48m tmpfs ${folder}`)
      const env = { ...ofEngine, TOPICS: 'load:partitions=1', SEGMENT_BYTES: '1MiB', DATA_DIR: disk.inside }
      const under = [...disk.under, ...underEngine]
      let broker = await startRole(t, 'broker', { env, under })
      const sent: string[] = []
      const fill = async (): Promise<Response> => {
        for (;;) {
          const text = JSON.stringify({ n: sent.length, filler: 'x'.repeat(100_000) })
          const answer = await produce(broker, text)
          if (answer.status !== 200) return answer
          await answer.arrayBuffer()
          sent.push(text)
        }
      }

      const refused = await fill()
      t.equal(refused.status, 507)
      t.match(refused.headers.get('retry-after'), /^[1-9]\d*$/)
      t.match(await refused.json(), { code: 'disk_full', retry_after_s: Number(refused.headers.get('retry-after')) })
      t.ok(sent.length * 100_000 > 35 * MiB, `${sent.length} records were taken`)
      const half = Math.floor(sent.length / 2)
      t.strictSame(await take(broker, half), sent.slice(0, half), 'the group reads and acknowledges')

      await broker.kill('SIGKILL')
      const again = { env: { ...env, PORT: String(broker.port) }, under, awaitReady: false }
      broker = await startRole(t, 'broker', again)
      await broker.waitFor(/no records are taken: \d+ bytes of the disk are free/)
      t.match(await (await fetch(`${broker.url}/ready`)).json(), { status: 503 })
      t.equal((await produce(broker, '"too much"')).status, 507)
      const quarter = Math.floor(half / 2)
      t.strictSame(await take(broker, quarter), sent.slice(half, half + quarter), 'the group goes on where it was')
      await broker.kill('SIGKILL')

      // To the last byte, which the broker would not do by itself.
      const ballast = join(disk.outside, 'ballast')
      fillUp(ballast)
      const stuck = startPenstock(t, ['broker'], again)
      t.strictSame(await stuck.exited, { code: 1, signal: null })
      t.match(
        stuck.stderr.join('\n'),
        new RegExp(`^penstock broker: ${disk.inside} is on a full disk, .* free as much as`),
      )

      truncateSync(ballast)
      const room = { ...again, env: { ...again.env, DISK_FLOOR: '1MiB' } }
      broker = await startRole(t, 'broker', { ...room, awaitReady: true })
      fillUp(ballast)
      await broker.waitFor(/no records are taken/)
      truncateSync(ballast)
      await broker.waitFor(/records are taken again/)
      t.equal((await produce(broker, '"again"')).status, 200)
      const rest = [...sent.slice(half + quarter), '"again"']
      t.strictSame(await take(broker, rest.length), rest, 'and nothing is half-written')
    },
  )

  test(
    `${engine}: a sync that fails: the record is refused, the broker ends with status 1, and the next start has all it acknowledged`,
    { skip: noEngine || skipWithout(tools.strace) },
    async (t) => {
      const folder = temporaryFolder(t)
      const env = { ...ofEngine, TOPICS: 'load:partitions=1', DATA_DIR: folder }
      const sent = Array.from({ length: 50 }, (_, n) => JSON.stringify({ n }))
      let broker = await startRole(t, 'broker', { env, under: underEngine })
      for (const text of sent) t.equal((await produce(broker, text)).status, 200)
      await broker.kill('SIGKILL')

      const path = join(folder, 'load/partition-0/00000000000000000000.log')
      // In Debian 13 the same file has another path to who looks from outside.
      const paths = ['-P', path, '-P', join(debian13Path, path)]
      const failing = ['-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO', ...paths]
      const strace = ['strace', '-f', '-qq', '-o', '/dev/null', ...failing]
      broker = await startRole(t, 'broker', { env, under: [...strace, ...underEngine] })
      const refused = await produce(broker, '"never"')
      t.match(await refused.json(), { status: 503, code: 'not_writable' })
      t.strictSame(await broker.exited, { code: 1, signal: null }, broker.tail())
      t.match(broker.tail(), /the disk failed, the broker stops: .*EIO/)

      broker = await startRole(t, 'broker', { env, under: underEngine })
      t.strictSame(await take(broker, sent.length), sent)
    },
  )

  test(`${engine}: more logs than open files: all open, and all take records`, { skip: noEngine }, async (t) => {
    // The engine takes files of its own; how many logs share the rest is the same for both.
    const [partitions, files] = isFull && engine === 'node' ? [4_000, 1024] : [300, 256]
    const env = { ...ofEngine, TOPICS: `load:partitions=${partitions}` }
    const under = ['sh', '-c', `ulimit -n ${files}; exec "$@"`, 'sh', ...underEngine]
    const broker = await startRole(t, 'broker', { env, under })
    const post = async (partition: number): Promise<number> => {
      const answer = await produce(broker, `"of ${partition}"`, partition)
      await answer.arrayBuffer()
      return answer.status
    }
    const statuses = new Map<number, number>()
    for (let round = 0; round < 2; round++) {
      for (let from = 0; from < partitions; from += 25) {
        for (const status of await Promise.all(Array.from({ length: 25 }, (_, at) => post(from + at)))) {
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
        }
      }
    }
    t.strictSame([...statuses], [[200, 2 * partitions]])
    t.match(await broker.status(), { topics: { load: { records: 2 * partitions } } })
    t.strictSame(await broker.kill('SIGTERM'), { code: 0, signal: null }, broker.tail())
  })
}

const unusable: Record<string, { readonly skip?: string | false; make(t: Scope): Promise<Place>; says: RegExp }> = {
  'a data folder that is a file': {
    async make(t) {
      const file = join(temporaryFolder(t), 'data')
      writeFileSync(file, 'mine')
      return { folder: file }
    },
    says: /is not a folder: set DATA_DIR/,
  },
  'a read-only disk': {
    skip,
    async make(t) {
      const { inside, under } = await mounted(t, (folder) => `mount -t tmpfs -o ro tmpfs ${folder}`)
      return { folder: join(inside, 'data'), under }
    },
    says: /is on a read-only disk: mount it/,
  },
  'a disk that has become read-only': {
    skip,
    async make(t) {
      const { inside, under } = await mounted(t, (folder) => `mount -t tmpfs tmpfs ${folder}`)
      await (await startRole(t, 'broker', { env: { DATA_DIR: inside }, under })).kill('SIGTERM')
      spawnSync(under[0] as string, [...under.slice(1), 'mount', '-o', 'remount,ro', inside])
      return { folder: inside, under }
    },
    says: /is on a read-only disk: mount it/,
  },
  'a folder of somebody else': {
    skip:
      spawnSync('setpriv', ['--reuid', '65534', 'true']).status === 0 ? false : 'needs root on Linux, to be another',
    async make(t) {
      const folder = join(temporaryFolder(t), 'data')
      mkdirSync(folder, { mode: 0o700 })
      return { folder, under: ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'] }
    },
    says: /may not be written by this user: change its owner/,
  },
}

interface Place {
  readonly folder: string
  readonly under?: readonly string[]
}

for (const [name, { skip: reason = false, make, says }] of Object.entries(unusable)) {
  test(`${name}: one clear line, and status 1`, { skip: reason }, async (t) => {
    const { folder, under } = await make(t)
    const env = { DATA_DIR: folder, PORT: '0' }
    const broker = startPenstock(t, ['broker'], under === undefined ? { env } : { env, under })
    t.strictSame(await broker.exited, { code: 1, signal: null }, broker.tail())
    t.equal(broker.stderr.length, 1, broker.stderr.join('\n'))
    const line = broker.stderr[0] ?? ''
    t.match(line, says)
    t.ok(line.startsWith(`penstock broker: ${folder} `), line)
  })
}

function produce(broker: StartedRole, text: string, partition = 0): Promise<Response> {
  return fetch(`${broker.url}/produce?topic=load&partition=${partition}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: text,
  })
}

/** The next records of the group, acknowledged. */
async function take(broker: StartedRole, count: number): Promise<string[]> {
  const stop = new AbortController()
  const consumer = new Client({ url: broker.url }).consumer({ topic: 'load', group: 'reader', signal: stop.signal })
  const taken: Message[] = []
  for await (const messages of consumer.batches()) {
    taken.push(...messages)
    if (taken.length < count) continue
    const last = taken[count - 1] as Message
    await consumer.ack([last.id])
    break
  }
  stop.abort()
  return taken.slice(0, count).map(({ data }) => data)
}
