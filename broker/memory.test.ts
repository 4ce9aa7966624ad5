import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { test } from 'tap'

import { systemClock } from '#lib/clock'
import type { Ordinal } from '#wire/ids'

import { Broker } from './broker.ts'
import { nodeDisk } from './disk/node.ts'
import { FilePool } from './disk/pool.ts'
import { readRecords, type Records } from './log/records.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** An idle partition of durability `disk` whose file is open takes some 3,600 here (decision 181). */
const heapBytesMax = 4_600

const [few, many] = [50, 500]

test('an idle partition takes little of the heap', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-memory-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const ringBytes = 1 << 20
  const disk = new FilePool(nodeDisk, 2 * (few + many))
  const broker = await Broker.open(systemClock, disk, {
    ordinal: 0 as Ordinal,
    folder,
    topics: new Map(),
    memoryBytes: ringBytes,
    segmentBytesMax: 1 << 20,
    turn: setImmediate,
    newLogId: () => '0123456789abcdef',
    report: (problem) => t.fail(problem),
  })
  const record = Buffer.from('{"value":1}\n')
  const larger = Buffer.from(`"${'x'.repeat(32 << 10)}"\n`)
  const append = async (topic: string, partition: number, body: Buffer): Promise<void> => {
    const records = readRecords(body, 'ndjson', ringBytes) as Records
    const appended = broker.topic(topic)?.logs[partition]?.append(records, undefined, systemClock.wallMs())
    if (typeof appended !== 'object' || 'expected' in appended) throw new Error('not appended')
    await appended.done
  }
  /** Logs that have a file and a batch in it, and none in memory. */
  const heapWith = async (topic: string, partitions: number): Promise<number> => {
    await broker.createTopic(topic, { partitions, durability: 'disk' })
    for (let first = 0; first < partitions; first += 16) {
      const some = Array.from({ length: Math.min(16, partitions - first) }, (_, at) => first + at)
      await Promise.all(some.map((partition) => append(topic, partition, record)))
    }
    for (let bytes = 0; bytes < 2 * ringBytes; bytes += larger.length) await append(topic, 0, larger)
    for (let round = 0; round < 3; round++) {
      collect()
      await setImmediate()
    }
    return process.memoryUsage().heapUsed
  }

  // With all code loaded and run.
  const before = await heapWith('few', few)
  const each = ((await heapWith('many', many)) - before) / many
  t.comment(`${Math.round(each)} bytes of heap a partition`)
  t.ok(each < heapBytesMax, `${Math.round(each)} bytes a partition, at most ${heapBytesMax}`)
  await broker.close()
})
