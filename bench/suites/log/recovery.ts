/**
 * What a start takes: a log whose last segment was not sealed is read and written anew, sealed ones are believed.
 *
 * All files are written through the log. The page cache is warm: what a cold disk adds is its own speed.
 */

import { open, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { ChunkRing } from '#broker/log/ring'

import type { Bench } from '../../measure.ts'
import { report, secondsOf, sideBySide, takeTurns } from '../../load/rounds.ts'
import { bodyOf } from '../../load/records.ts'
import { append, openLog } from './work.ts'

const gib = 1 << 30

/** As by default. */
const segmentBytes = 256 << 20

/** Batches as large as a busy producer's, of fewer and larger records: what is made here is not what is measured. */
const body = bodyOf(25, 4096)

const ring = new ChunkRing(32 << 20)

export async function recovery(bench: Bench): Promise<void> {
  const unsealedBytes = bench.quick ? 128 << 20 : gib
  const sealedBytes = bench.quick ? gib / 2 : 10 * gib
  const rounds = bench.quick ? 3 : 5
  const unsealed = join(bench.folder, 'unsealed')
  const sealed = join(bench.folder, 'sealed')
  bench.say(`recovery: writing ${unsealedBytes / gib} GiB unsealed and ${sealedBytes / gib} GiB sealed`)
  // Not closed before the end: each start finds the segment as a killed process leaves it.
  const killed = await fill(unsealed, unsealedBytes, 2 * gib)
  const closed = await fill(sealed, sealedBytes, segmentBytes)
  await closed.close()

  const perGib = gib / unsealedBytes
  const figures = await takeTurns(bench, rounds, {
    unsealed: async () =>
      perGib * (await secondsOf(() => openLog(unsealed, 'fsync', ring, { segmentBytesMax: 2 * gib }))),
    copy: async () => perGib * (await secondsOf(() => copy(unsealed, `${bench.folder}/copy`))),
    sealed: async () => {
      let closing = async (): Promise<void> => {}
      const seconds = await secondsOf(async () => {
        const log = await openLog(sealed, 'fsync', ring)
        closing = () => log.close()
      })
      await closing()
      return seconds
    },
  })
  report(bench, 'recover-unsealed', 's/GiB', figures.unsealed, { 'copy and sync': figures.copy })
  const scale = gib / sealedBytes
  const perSealed = { ...figures.sealed, median: figures.sealed.median * scale }
  report(bench, 'open-sealed', 's/GiB', perSealed, { 'recover-unsealed': figures.unsealed })
  const { median: value, spread } = figures.sealed
  const segments = (await readdir(sealed)).length
  bench.report({ work: `open-${sealedBytes / gib}-gib-sealed`, unit: 's', value, spread, segments })
  await killed.close()
  await rm(unsealed, { recursive: true })
  await rm(sealed, { recursive: true })
}

/** A log with at least so many bytes. */
async function fill(folder: string, bytes: number, segmentBytesMax: number) {
  const log = await openLog(folder, 'fsync', ring, { segmentBytesMax })
  await sideBySide(Math.ceil(bytes / body.length), 64, () => append(log, body))
  return log
}

/** Reads the only segment of a folder, writes it to another file and syncs that: what a recovery cannot be faster than. */
async function copy(folder: string, path: string): Promise<void> {
  const name = (await readdir(folder)).find((each) => each.endsWith('.log'))
  const from = await open(join(folder, name as string))
  const to = await open(path, 'w')
  const buffer = Buffer.allocUnsafe(1 << 20)
  for (let at = 0; ;) {
    const { bytesRead } = await from.read(buffer, 0, buffer.length, at)
    if (bytesRead === 0) break
    await to.write(buffer, 0, bytesRead, at)
    at += bytesRead
  }
  await to.datasync()
  await from.close()
  await to.close()
  await rm(path)
}
