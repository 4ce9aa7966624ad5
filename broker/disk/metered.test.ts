import { test } from 'tap'
import { MemoryDisk } from './memory.ts'
import { metered } from './metered.ts'

test('the bytes that are written and the time of each sync are told, a sync that fails is not', async (t) => {
  let nowMs = 0
  const told: string[] = []
  const memory = new MemoryDisk()
  const disk = metered(memory, {
    synced: (seconds) => told.push(`synced ${seconds}`),
    written: (bytes) => told.push(`written ${bytes}`),
    monotonicMs: () => (nowMs += 250),
  })
  await disk.makeFolder('a')
  const file = await disk.open('a/b')
  t.equal(await file.write([Buffer.from('one'), Buffer.from('three')], 0), 8)
  await file.sync()
  memory.failNext('sync', 'EIO')
  await t.rejects(file.sync(), { code: 'EIO' })
  t.same(told, ['written 8', 'synced 0.25'])
  const into = Buffer.alloc(8)
  t.equal(await file.read(into, 0), 8)
  t.equal(into.toString(), 'onethree')
  await file.truncate(3)
  t.equal(await file.size(), 3)
  await file.close()
  t.same(await disk.list('a'), ['b'])
})
