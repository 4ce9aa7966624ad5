import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import fc from 'fast-check'
import { test } from 'tap'
import { temporaryFolder } from '#test/start'
import type { Disk, DiskFile } from './disk.ts'
import { openFilesMax } from './limit.ts'
import { MemoryDisk } from './memory.ts'
import { nodeDisk } from './node.ts'
import { FilePool } from './pool.ts'

/** Passes every call on when the scheduler says so, and fails on what a pool must never do to a file. */
function watched(disk: MemoryDisk, scheduler: fc.Scheduler, openMax: number): Disk {
  const step = <T>(name: string, call: () => Promise<T>): Promise<T> => {
    return scheduler.schedule(Promise.resolve(), name).then(call)
  }
  return {
    list: (folder) => disk.list(folder),
    makeFolder: () => disk.makeFolder(),
    space: () => disk.space(),
    syncFolder: () => step('syncFolder', () => disk.syncFolder()),
    rename: (from, to) => step('rename', () => disk.rename(from, to)),
    remove: (path) => step('remove', () => disk.remove(path)),
    async open(path) {
      const file = await step('open', () => disk.open(path))
      assert.ok(disk.openFiles <= openMax, `${disk.openFiles} files are open`)
      let calls = 0
      let isDirty = false
      let isClosed = false
      const call = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
        assert.ok(!isClosed, `${name} of a closed file`)
        calls++
        try {
          return await step(name, work)
        } finally {
          calls--
        }
      }
      return {
        size: () => call('size', () => file.size()),
        read: (into, position) => call('read', () => file.read(into, position)),
        async write(views, position) {
          isDirty = true
          return call('write', () => file.write(views, position))
        },
        async truncate(bytes) {
          isDirty = true
          return call('truncate', () => file.truncate(bytes))
        },
        async sync() {
          await call('sync', () => file.sync())
          isDirty = false
        },
        async close() {
          assert.equal(calls, 0, 'closed with a call in flight')
          assert.ok(!isDirty, 'closed between a write and its sync')
          isClosed = true
          await step('close', () => file.close())
        },
      }
    },
  }
}

type Step =
  | { readonly kind: 'write'; readonly text: string }
  | { readonly kind: 'sync' | 'read' | 'reopen' | 'rename' | 'replace' | 'folder' }
  | { readonly kind: 'truncate'; readonly bytes: number }

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), text: fc.string({ maxLength: 9 }) }) },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constantFrom('sync' as const, 'read', 'read', 'reopen', 'rename', 'replace', 'folder'),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('truncate' as const), bytes: fc.nat(12) }) },
  ),
  { maxLength: 20 },
)

/** Appends, reads and renames as a log does, and holds each answer against a buffer. Returns its last path and content. */
async function ownFile(disk: Disk, name: string, work: readonly Step[]): Promise<[string, string]> {
  let path = name
  let expected = Buffer.alloc(0)
  let file: DiskFile = await disk.open(path)
  for (const [at, step] of work.entries()) {
    if (step.kind === 'write') {
      const bytes = Buffer.from(step.text)
      assert.equal(await file.write([bytes], expected.length), bytes.length)
      expected = Buffer.concat([expected, bytes])
    } else if (step.kind === 'truncate') {
      const bytes = Math.min(step.bytes, expected.length)
      await file.truncate(bytes)
      expected = expected.subarray(0, bytes)
    } else if (step.kind === 'sync') {
      await file.sync()
    } else if (step.kind === 'reopen') {
      await file.sync()
      await file.close()
      file = await disk.open(path)
    } else if (step.kind === 'folder') {
      await disk.syncFolder('')
    } else if (step.kind === 'rename') {
      const moved = `${name}-${at}`
      await disk.rename(path, moved)
      path = moved
    } else if (step.kind === 'replace') {
      await file.sync()
      const copy = await disk.open(`${path}.new`)
      await copy.write([expected], 0)
      await copy.sync()
      await disk.rename(`${path}.new`, path)
      // The old handle knows that it is no longer what stands under the name.
      await assert.rejects(file.write([Buffer.from('lost')], 0), { code: 'ESTALE' })
      await assert.rejects(file.sync(), { code: 'ESTALE' })
      await file.close()
      file = copy
    } else {
      const into = Buffer.alloc(expected.length + 3)
      assert.equal(await file.size(), expected.length)
      assert.equal(into.toString('utf8', 0, await file.read(into, 0)), expected.toString())
    }
  }
  await file.sync()
  await file.close()
  return [path, expected.toString()]
}

test('any number of files under a limit read and write as if all were open', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.integer({ min: 1, max: 4 }),
      fc.array(steps, { maxLength: 7 }),
      async (s, openMax, works) => {
        const memory = new MemoryDisk()
        // A handle that has lost its name keeps its descriptor, beyond the limit, until it is closed: one an owner here.
        const pool = new FilePool(watched(memory, s, openMax + works.length), openMax)
        const all = Promise.all(works.map((work, at) => ownFile(pool, `f${at}`, work)))
        const ended = await s.waitFor(all)
        assert.deepEqual(new Map([...memory.files].map(([path, bytes]) => [path, bytes.toString()])), new Map(ended))
        assert.equal(memory.openFiles, 0)
      },
    ),
    { numRuns: process.env['PENSTOCK_TEST_FULL'] === '1' ? 1000 : 100 },
  )
})

test('without renames the limit is never passed', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.integer({ min: 1, max: 3 }),
      fc.array(steps, { maxLength: 7 }),
      async (s, n, w) => {
        const memory = new MemoryDisk()
        const pool = new FilePool(watched(memory, s, n), n)
        const works = w.map((work) => work.filter(({ kind }) => kind !== 'replace'))
        await s.waitFor(Promise.all(works.map((work, at) => ownFile(pool, `f${at}`, work))))
      },
    ),
    { numRuns: 60 },
  )
})

test('a file whose sync failed while it was closed for room refuses what its owner does next', async (t) => {
  const memory = new MemoryDisk()
  const pool = new FilePool(memory, 1)
  const first = await pool.open('first')
  await first.write([Buffer.from('x')], 0)
  memory.failNext('sync', 'EIO')
  const second = await pool.open('second')
  t.equal(memory.openFiles, 1)
  await t.rejects(first.sync(), { code: 'EIO' })
  await t.rejects(first.write([Buffer.from('y')], 1), { code: 'EIO' })
  await second.write([Buffer.from('z')], 0)
  await second.sync()
})

test('an error of a call, or of the opening, takes no room', async (t) => {
  const memory = new MemoryDisk()
  const pool = new FilePool(memory, 1)
  memory.failNext('open', 'EACCES')
  await t.rejects(pool.open('a'), { code: 'EACCES' })
  const file = await pool.open('a')
  memory.failNext('write', 'ENOSPC')
  await t.rejects(file.write([Buffer.from('x')], 0), { code: 'ENOSPC' })
  const other = await pool.open('b')
  t.equal(await other.size(), 0)
  memory.failNext('open', 'EIO')
  await t.rejects(file.size(), { code: 'EIO' })
  t.equal(await file.size(), 0)
})

test('the process is out of files: the pool goes on with fewer', async (t) => {
  const memory = new MemoryDisk()
  const pool = new FilePool(memory, 100)
  const files = await Promise.all(['a', 'b', 'c'].map((name) => pool.open(name)))
  memory.failNext('open', 'EMFILE')
  await pool.open('d')
  t.equal(memory.openFiles, 3)
  for (const file of files) t.equal(await file.size(), 0)
  t.equal(memory.openFiles, 3)
})

test('a reader of a file that is removed reads to its end, whether it was open or not', async (t) => {
  const folder = temporaryFolder(t)
  const pool = new FilePool(nodeDisk, 2)
  const open = await pool.open(`${folder}/a`)
  await open.write([Buffer.from('still here')], 0)
  const closedForRoom = await pool.open(`${folder}/a`)
  const others = await Promise.all(['b', 'c'].map((name) => pool.open(`${folder}/${name}`)))
  await open.size()
  await pool.remove(`${folder}/a`)
  for (const file of [open, closedForRoom]) {
    const into = Buffer.alloc(20)
    t.equal(into.toString('utf8', 0, await file.read(into, 0)), 'still here')
    await t.rejects(file.truncate(0), { code: 'ESTALE' })
  }
  const another = await pool.open(`${folder}/a`)
  await another.write([Buffer.from('new')], 0)
  t.equal(await closedForRoom.size(), 10)
  for (const file of [open, closedForRoom, another, ...others]) await file.close()
})

test('three hundred real files, eight open at most', async (t) => {
  const folder = temporaryFolder(t)
  const pool = new FilePool(nodeDisk, 8)
  const names = Array.from({ length: 300 }, (_, at) => `${folder}/${at}`)
  const inFolder = () => readdirSync('/proc/self/fd', { withFileTypes: true }).length
  const before = process.platform === 'linux' ? inFolder() : 0
  const files = await Promise.all(names.map((name) => pool.open(name)))
  for (let round = 0; round < 2; round++) {
    await Promise.all(
      files.map(async (file, at) => {
        await file.write([Buffer.from(`${at}:${round} `)], round * `${at}:0 `.length)
        if (at % 2 === 0) await file.sync()
      }),
    )
  }
  if (process.platform === 'linux') t.ok(inFolder() <= before + 8, `${inFolder() - before} files more are open`)
  const read = await Promise.all(
    files.map(async (file) => {
      const into = Buffer.alloc(20)
      return into.toString('utf8', 0, await file.read(into, 0))
    }),
  )
  t.strictSame(
    read,
    names.map((_, at) => `${at}:0 ${at}:1 `),
  )
  await Promise.all(files.map((file) => file.close()))
})

test('half of what the process may open is for files', async (t) => {
  const of = (limit: string) => openFilesMax(`Max processes  7  7  processes\nMax open files  ${limit}  20000  files\n`)
  t.equal(of('1024'), 512)
  t.equal(of('10'), 16)
  t.equal(of('unlimited'), of('1048576'))
  t.equal(openFilesMax(''), 128)
})
