import { test } from 'tap'

import { startBroker } from '#test/broker'
import { MemoryDisk } from './disk/memory.ts'
import { DiskFloor } from './floor.ts'

const GiB = 2 ** 30
const MiB = 2 ** 20

test('the usual floor is 1 GiB, of a small disk a twentieth; 0 is none', async (t) => {
  const disk = new MemoryDisk()
  const floorOf = async (totalBytes: number, given?: number) => {
    disk.totalBytes = totalBytes
    const floor = new DiskFloor(disk, 'data', given, () => {})
    await floor.measure()
    return floor
  }
  t.equal((await floorOf(1000 * GiB)).bytes, GiB)
  t.equal((await floorOf(20 * GiB)).bytes, GiB)
  t.equal((await floorOf(100 * MiB)).bytes, 5 * MiB)
  t.equal((await floorOf(100 * MiB, 7)).bytes, 7)
  t.equal((await floorOf(0, 0)).reached, undefined)
  t.match((await floorOf(MiB, 2 * MiB)).reached, /1048576 bytes of the disk are free, .* 2097152 on \(DISK_FLOOR\)/)
})

test('a disk that does not tell its space is told of once, and refuses nothing', async (t) => {
  const reports: string[] = []
  const disk = new MemoryDisk()
  disk.space = () => Promise.reject(new Error('ENOSYS'))
  const floor = new DiskFloor(disk, 'data', GiB, (text) => reports.push(text))
  await floor.measure()
  await floor.measure()
  t.equal(floor.reached, undefined)
  t.match(reports, [/free space of data is not known: ENOSYS/])
})

test('at the floor produce is refused; consume and ack go on, make room, and produce is taken again', async (t) => {
  const disk = new MemoryDisk()
  disk.totalBytes = 4 * MiB
  const { broker, call, stream, status } = await startBroker(t, {
    disk,
    diskFloorBytes: MiB,
    topics: new Map([['notes', { partitions: 1, retention: 'acknowledged' }]]),
    segmentBytesMax: 500_000,
  })
  const until = await stream('/consume?topic=notes&group=g&max_in_flight=1000000')
  const body = Array.from({ length: 10 }, () => 'x'.repeat(10_000)).join('\n')
  let sent = 0
  while ((await call('POST', '/produce?topic=notes', body)).status === 200) {
    sent += 10
    await broker.tend()
  }
  t.ok(sent > 250, `${sent} records`)
  const refused = await call('POST', '/produce?topic=notes', 'x')
  t.match(refused, {
    status: 507,
    body: { code: 'disk_full', detail: /nothing was written: \d+ bytes of the disk are free/ },
  })
  t.equal(refused.headers.get('retry-after'), '5')
  t.match(broker.notWritable, /DISK_FLOOR/, 'what /ready says')
  t.match(status().disk, { total_bytes: 4 * MiB, floor_bytes: MiB, full: /DISK_FLOOR/ })
  t.match(
    await call('POST', '/dead?topic=notes', { reason: 'bad' }),
    { status: 200 },
    'a consumer can give up on a record',
  )
  t.match(await call('PATCH', '/topics/notes', { retention_age: '1h' }), { status: 200 })

  await until(new RegExp(`id: 0/0/${sent - 1}\n`))
  const files = () => [...disk.files.values()].reduce((sum, content) => sum + content.length, 0)
  const before = files()
  t.match(await call('POST', '/ack?topic=notes&group=g', { up_to: [`0/0/${sent - 1}`] }), { status: 200 })
  await broker.tend()
  await broker.tend()
  t.ok(files() < before - 2 * MiB, 'files are gone')
  t.equal(broker.notWritable, undefined)
  t.match(await call('POST', '/produce?topic=notes', 'x'), { status: 200, body: { id: `0/0/${sent}` } })
})

test('a producer that fills the reserve between two looks at the disk is refused all the same', async (t) => {
  const disk = new MemoryDisk()
  disk.totalBytes = 4 * MiB
  const { broker, call } = await startBroker(t, { disk, diskFloorBytes: MiB })
  const body = JSON.stringify('x'.repeat(100_000))
  let sent = 0
  while ((await call('POST', '/produce?topic=telemetry', body)).status === 200) sent++
  t.ok(sent >= 30 && sent <= 32, `${sent} records of 100 kB, and nothing was measured`)
  t.ok((broker.floor.space?.freeBytes ?? 0) >= MiB - 110_000)
  await broker.tend()
  t.match(broker.notWritable, /DISK_FLOOR/, 'and measured it is as full')
})

test('dead letters take no more than half of the reserve', async (t) => {
  const disk = new MemoryDisk()
  const { broker, call } = await startBroker(t, { disk, diskFloorBytes: MiB })
  disk.totalBytes = MiB
  await broker.tend()
  t.match(await call('POST', '/dead?topic=telemetry', { reason: 'bad' }), { status: 200 })
  disk.totalBytes = MiB / 2
  await broker.tend()
  t.match(await call('POST', '/dead?topic=telemetry', { reason: 'bad' }), { status: 507, body: { code: 'disk_full' } })
})
