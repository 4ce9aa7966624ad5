import { test } from 'tap'

import type { Offset, Ordinal, Partition } from '#wire/ids'

import type { Progress } from './progress.ts'
import { Journal } from './journal.ts'
import { MemoryDisk } from '../disk/memory.ts'

const folder = 'data/telemetry/groups'
const head = {
  topic: 'telemetry',
  group: 'g',
  broker: 0 as Ordinal,
  logId: '0011223344556677',
  mode: 'exclusive' as const,
}

class Group {
  readonly state = new Map<Partition, Progress>()

  set(partition: number, floor: number, acknowledged: [number, number][] = []): Map<Partition, Progress> {
    this.state.set(partition as Partition, { floor: floor as Offset, acknowledged })
    return new Map([[partition as Partition, { floor: floor as Offset, acknowledged }]])
  }
}

async function open(disk: MemoryDisk, group: Group, reports: string[] = []) {
  return Journal.open(
    disk,
    folder,
    head,
    'fsync',
    () => group.state,
    (text) => reports.push(text),
  )
}

test('what was noted is there after a restart, the last word of each log', async (t) => {
  const disk = new MemoryDisk()
  const group = new Group()
  const { journal, progress } = await open(disk, group)
  t.equal(progress.size, 0, 'a new group')
  const outcomes = await Promise.all([
    journal.note(group.set(0, 5), 1),
    journal.note(group.set(1, 7, [[9, 12]]), 2),
    journal.note(group.set(0, 8), 3),
  ])
  t.strictSame(outcomes, ['durable', 'durable', 'durable'])
  const again = await open(disk, group)
  t.strictSame(
    [...again.progress],
    [
      [0, { floor: 8, acknowledged: [] }],
      [1, { floor: 7, acknowledged: [[9, 12]] }],
    ],
  )
  await again.journal.note(group.set(0, 9), 4)
  t.equal((await open(disk, group)).progress.get(0 as Partition)?.floor, 9)
})

test('a record tells what is new alone, until a seek puts another in the place of all', async (t) => {
  const disk = new MemoryDisk()
  const group = new Group()
  const { journal } = await open(disk, group)
  await journal.note(group.set(0, 5, [[7, 9]]), 1)
  await journal.note(group.set(0, 5, [[12, 14]]), 2)
  await journal.note(group.set(0, 6, [[9, 10]]), 3)
  const progress = async () => (await open(disk, new Group())).progress.get(0 as Partition)
  t.strictSame(await progress(), {
    floor: 6,
    acknowledged: [
      [7, 10],
      [12, 14],
    ],
  })
  await journal.note(group.set(0, 3), 4, 'anew')
  await journal.note(group.set(0, 3, [[4, 5]]), 5)
  t.strictSame(await progress(), { floor: 3, acknowledged: [[4, 5]] })
})

test('the file is rewritten when it has grown, and nothing noted meanwhile is lost', async (t) => {
  const disk = new MemoryDisk()
  const group = new Group()
  const { journal } = await open(disk, group)
  const path = `${folder}/g.log`
  let largest = 0
  for (let round = 1; round <= 40; round++) {
    // Ranges make the records large, as a group that acknowledges out of order does.
    const ranges = Array.from({ length: 2000 }, (_, index): [number, number] => [10 * index, 10 * index + 5])
    await Promise.all([journal.note(group.set(0, round, ranges), round), journal.note(group.set(1, round), round)])
    largest = Math.max(largest, (disk.files.get(path) as Buffer).length)
    const { progress } = await open(disk, group)
    t.equal(progress.get(0 as Partition)?.floor, round)
    t.equal(progress.get(1 as Partition)?.floor, round)
  }
  t.ok(largest < 2 << 20, `${largest} bytes at most`)
})

test('a torn tail costs what was not answered', async (t) => {
  const disk = new MemoryDisk()
  const group = new Group()
  const { journal } = await open(disk, group)
  await journal.note(group.set(0, 5), 1)
  const path = `${folder}/g.log`
  const whole = disk.files.get(path) as Buffer
  await journal.note(group.set(0, 6), 1)
  const longer = disk.files.get(path) as Buffer
  for (let end = whole.length; end < longer.length; end++) {
    disk.files.set(path, Buffer.from(longer.subarray(0, end)))
    const recovered = await open(disk, group)
    t.equal(recovered.progress.get(0 as Partition)?.floor, 5, `cut at ${end}`)
    t.equal(await recovered.journal.note(group.set(0, 7), 2), 'durable')
    t.equal((await open(disk, group)).progress.get(0 as Partition)?.floor, 7)
  }
})

test('a full disk is told, and the next note carries on', async (t) => {
  const disk = new MemoryDisk()
  const group = new Group()
  const { journal } = await open(disk, group)
  await journal.note(group.set(0, 1), 1)
  disk.failNext('write', 'ENOSPC', 9)
  t.equal(await journal.note(group.set(0, 2), 1), 'disk_full')
  t.equal((await open(disk, group)).progress.get(0 as Partition)?.floor, 1)
  t.equal(await journal.note(group.set(0, 3), 1), 'durable')
  t.equal((await open(disk, group)).progress.get(0 as Partition)?.floor, 3)
})

test('the journal of another group, or of another broker, is refused', async (t) => {
  const disk = new MemoryDisk()
  const group = new Group()
  const { journal } = await open(disk, group)
  await journal.note(group.set(0, 5), 1)
  const whole = disk.files.get(`${folder}/g.log`) as Buffer
  for (const [from, to] of [
    [' g 0 ', ' h 0 '],
    [' g 0 ', ' g 1 '],
  ] as const) {
    disk.files.set(`${folder}/g.log`, Buffer.from(whole.toString('latin1').replace(from, to), 'latin1'))
    await t.rejects(open(disk, group), { message: /g\.log belongs to the group . of broker .: put the file back/ })
  }
})
