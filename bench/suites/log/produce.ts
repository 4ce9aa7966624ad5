/**
 * Produce, in batches of 500 records of 200 bytes, into the log alone, in this process: `Log.append` over this machine's disk, a
 * window of appends in flight, against `memcpy` of the same bytes and a raw `writev` loop of the same framed bytes in groups as
 * large as the log's own. (The broker and its peers are the suite `broker`.)
 */

import * as fs from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { ChunkRing } from '#broker/log/ring'
import type { Durability } from '#broker/log/types'

import type { Bench } from '../../measure.ts'
import { report, sideBySide, takeTurns } from '../../load/rounds.ts'
import { batchRecords, bodyOf, recordBytes } from '../../load/records.ts'
import { append, CountingDisk, nextTurn, openLog } from './work.ts'

/** Appends in flight: what 32 connections would have. */
const windowAppends = 32

/** Small enough for the ring to come round while it warms up: fresh pages cost several times the copying. */
const ringBytes = 64 << 20

const body = bodyOf(batchRecords, recordBytes)

export async function produceAlone(bench: Bench): Promise<void> {
  const batches = bench.quick ? 300 : 1000
  const rounds = bench.quick ? 3 : 7
  const ring = new ChunkRing(ringBytes)
  const raw = Buffer.alloc(ringBytes, 'x')
  const folder = join(bench.folder, 'alone')
  let framedBytes = 0
  const groups: Record<Durability, number> = { memory: 0, disk: 0, fsync: 0 }

  const throughLog = async (durability: Durability, count: number): Promise<number> => {
    const counting = new CountingDisk()
    const log = await openLog(folder, durability, ring, { disk: counting.disk })
    await append(log, body)
    counting.writes = 0
    const startedMs = performance.now()
    await sideBySide(count, windowAppends, async () => {
      await append(log, body)
      await nextTurn()
    })
    const rate = rateOf(count, startedMs)
    groups[durability] = count / Math.max(1, counting.writes)
    await log.close()
    framedBytes = Math.round(log.bytes / (count + 1))
    await rm(folder, { recursive: true })
    return rate
  }
  const loop = (group: () => number, isSynced: boolean) => () =>
    rawLoop(`${folder}.raw`, raw, framedBytes, batches, Math.round(group()), isSynced)

  bench.say('produce: the log alone')
  const contestants = {
    memory: () => throughLog('memory', batches),
    disk: () => throughLog('disk', batches),
    fsync: () => throughLog('fsync', batches),
    writev: loop(() => groups.disk, false),
    'writev+fdatasync': loop(() => groups.fsync, true),
    memcpy: async () => copyLoop(raw, batches),
  }
  // Until the ring has come round, and the system has pages at hand.
  for (let done = 0; done < ringBytes; done += 3 * batches * body.length) {
    for (const warm of Object.values(contestants)) await warm()
  }
  const figures = await takeTurns(bench, rounds, contestants)
  const { memcpy, writev, 'writev+fdatasync': synced } = figures
  const extra = (durability: Durability) => ({ batches_a_write: groups[durability], window: windowAppends })
  report(bench, 'log-memory', 'records/s', figures.memory, { memcpy, writev }, extra('memory'))
  report(bench, 'log-disk', 'records/s', figures.disk, { memcpy, writev }, extra('disk'))
  report(bench, 'log-fsync', 'records/s', figures.fsync, { memcpy, 'writev+fdatasync': synced }, extra('fsync'))
  report(bench, 'log-fsync', 'records/s', figures.fsync, { 'log-disk': figures.disk }, extra('fsync'))
}

function rateOf(batches: number, startedMs: number): number {
  return (1000 * batches * batchRecords) / (performance.now() - startedMs)
}

/** The bodies, copied into memory that is not in the processor's cache. */
function copyLoop(target: Buffer, batches: number): number {
  const startedMs = performance.now()
  for (let batch = 0, at = 0; batch < batches; batch++, at += body.length) {
    if (at + body.length > target.length) at = 0
    target.set(body, at)
  }
  return rateOf(batches, startedMs)
}

const writeViews = promisify(fs.writev)
const syncData = promisify(fs.fdatasync)

/** As many framed bytes in groups, one write in flight. */
async function rawLoop(
  path: string,
  source: Buffer,
  framedBytes: number,
  batches: number,
  group: number,
  isSynced: boolean,
): Promise<number> {
  const file = await open(path, 'w')
  try {
    const startedMs = performance.now()
    let at = 0
    for (let done = 0; done < batches; done += group) {
      const views: Buffer[] = []
      for (let place = 0; place < Math.min(group, batches - done); place++, at += framedBytes) {
        if (at + framedBytes > source.length) at = 0
        views.push(source.subarray(at, at + framedBytes))
      }
      await writeViews(file.fd, views, done * framedBytes)
      if (isSynced) await syncData(file.fd)
    }
    return rateOf(batches, startedMs)
  } finally {
    await file.close()
    await rm(path)
  }
}
