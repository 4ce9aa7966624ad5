/**
 * Many dirty files: a turn that appended to N logs syncs N files. The peer is what one commit journal for all logs would do in
 * the same turn: one write and one sync of the journal, and a write without a sync to each log. It is the least that a
 * journal costs: its own framing, its truncation and its recovery are not in it.
 */

import { fdatasync, writev } from 'node:fs'
import { open, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import type { Log } from '#broker/log/log'
import { ChunkRing } from '#broker/log/ring'

import type { Bench } from '../../measure.ts'
import { report, secondsOf, sideBySide, takeTurns } from '../../load/rounds.ts'
import { bodyOf, recordBytes } from '../../load/records.ts'
import { append, openLog } from './work.ts'

/** Logs that are dirty in one turn, and records that each of them got: partitions that are many get little each. */
const turnsOf = [
  { count: 1, records: 10 },
  { count: 10, records: 10 },
  { count: 200, records: 10 },
  { count: 10, records: 500 },
]

/** The most bytes that a turn of the whole bench keeps in its journal file, which is written over and over. */
const journalBytes = 64 << 20

const writeViews = promisify(writev)
const syncData = promisify(fdatasync)

export async function dirtyFiles(bench: Bench): Promise<void> {
  const turns = bench.quick ? 10 : 40
  const rounds = bench.quick ? 3 : 7
  const most = Math.max(...turnsOf.map(({ count }) => count))
  bench.say(`dirty files: ${turns} turns a round`)
  const ring = new ChunkRing(64 << 20)
  const logs: Log[] = []
  const files: FileHandle[] = []
  await sideBySide(most, 16, async (at) => {
    const folder = join(bench.folder, 'dirty', `partition-${at}`)
    logs[at] = await openLog(folder, 'fsync', ring, { partition: at })
    await append(logs[at], bodyOf(1, recordBytes))
    files[at] = await open(join(folder, 'raw'), 'w')
  })
  const journal = await open(join(bench.folder, 'journal'), 'w')
  let journalAt = 0
  let rawAt = 0

  const ownSyncs = (count: number, body: Buffer) => async () =>
    (1000 / turns) *
    (await secondsOf(async () => {
      for (let turn = 0; turn < turns; turn++) await Promise.all(logs.slice(0, count).map((log) => append(log, body)))
    }))
  const oneJournal = (count: number, framed: Buffer) => async () =>
    (1000 / turns) *
    (await secondsOf(async () => {
      for (let turn = 0; turn < turns; turn++) {
        if (journalAt + count * framed.length > journalBytes) journalAt = 0
        await writeViews(journal.fd, Array<Buffer>(count).fill(framed), journalAt)
        await syncData(journal.fd)
        journalAt += count * framed.length
        const at = rawAt
        rawAt += framed.length
        await Promise.all(files.slice(0, count).map(({ fd }) => writeViews(fd, [framed], at)))
      }
    }))

  for (const { count, records } of turnsOf) {
    const body = bodyOf(records, recordBytes)
    const before = (logs[0] as Log).bytes
    await append(logs[0] as Log, body)
    const framed = Buffer.alloc((logs[0] as Log).bytes - before, 'x')
    const contestants = { own: ownSyncs(count, body), journal: oneJournal(count, framed) }
    for (const warm of Object.values(contestants)) await warm()
    const figures = await takeTurns(bench, rounds, contestants)
    const extra = { ms_a_log: figures.own.median / count, bytes_a_log: framed.length }
    report(
      bench,
      `sync-${count}-logs-x-${records}`,
      'ms a turn',
      figures.own,
      { 'one journal': figures.journal },
      extra,
    )
  }
  await journal.close()
  await sideBySide(most, 16, async (at) => {
    await files[at]?.close()
    await logs[at]?.close()
  })
  await rm(join(bench.folder, 'dirty'), { recursive: true })
}
