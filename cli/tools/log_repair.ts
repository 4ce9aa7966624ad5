/** `penstock log repair`: damaged files are written anew with what is sound in them. */

import { randomBytes } from 'node:crypto'
import { checkFolder } from '#broker/check/folder'
import { repairsOf, type Repair } from '#broker/check/repair'
import type { Finding, Report } from '#broker/check/report'
import { nodeDisk } from '#broker/disk/node'
import { FolderLock } from '#broker/lock'
import { commonSettings, setting } from '#lib/settings'
import { command, type Io } from '../command.ts'
import { formatNumber } from '../table.ts'
import { lineOf } from './log_check.ts'
import { foldersOf, warnOfBroker, WatchedDisk } from './log_files.ts'

const settings = {
  dataDir: commonSettings.dataDir,
  dryRun: setting.boolean('DRY_RUN', { help: 'say what would be kept and lost, and change nothing', default: 'false' }),
}

export const repair = command({
  name: 'log repair',
  usage: '[DATA_DIR]',
  about: `Writes the damaged files of a broker that is stopped anew: good batches are kept, offsets stay as they are, what is
lost becomes a gap that readers are told of. The damaged file is kept beside it as .damaged. A broker reads past
damage by itself: a repair saves it the reading, and lets penstock log check tell new damage from old.
The exit status is 0 when nothing is damaged afterwards, 1 when something is left that a person must decide.
`,
  more: `  penstock log repair data/broker-0 --dry-run
  penstock log repair data/broker-0
`,
  settings,
  reads: ['DATA_DIR'],
  positionals: { max: 1 },
  async run({ dataDir, dryRun }, io, { positionals }) {
    const folders = await foldersOf(positionals[0], dataDir)
    let left = 0
    for (const folder of folders) {
      if (dryRun) {
        warnOfBroker(folder, io)
        left += await repairFolder(folder, true, io)
        continue
      }
      const lock = FolderLock.take(folder, 'log repair')
      try {
        left += await repairFolder(folder, false, io)
      } finally {
        lock.release()
      }
    }
    return left === 0 ? 0 : 1
  },
})

/** Returns how much is damaged afterwards. */
async function repairFolder(folder: string, dryRun: boolean, io: Io): Promise<number> {
  const { damage, repairs } = await planOf(folder, io)
  const others = damage.filter(({ bytes, lost }) => bytes === undefined && lost === undefined)
  for (const repair of repairs) {
    io.stdout.write(textOf(repair, dryRun))
    if (!dryRun) await repair.run()
    io.signal.throwIfAborted()
  }
  for (const finding of others) io.stdout.write(`not repaired: ${lineOf(finding)}`)
  const left = dryRun ? damage.length : (await planOf(folder, io)).damage.length
  const what = dryRun ? 'would be written anew' : 'written anew'
  if (damage.length === 0) io.stdout.write(`${folder}: sound, nothing to repair\n`)
  else {
    const lost = repairs.reduce((sum, { losesRecords }) => sum + losesRecords, 0)
    const rest = dryRun ? '' : `; ${left === 0 ? 'sound now' : `${left} findings are left`}`
    io.stdout.write(`${folder}: ${repairs.length} files ${what}, ${formatNumber(lost)} records lost${rest}\n`)
  }
  return left
}

async function planOf(
  folder: string,
  io: Io,
): Promise<{ readonly damage: Finding[]; readonly repairs: readonly Repair[] }> {
  const watched = new WatchedDisk(io)
  const reports: Report[] = []
  try {
    for await (const report of checkFolder(watched.disk, folder)) reports.push(report)
  } finally {
    watched.progress.clear()
  }
  const repairs = await repairsOf(nodeDisk, folder, reports, () => randomBytes(8).toString('hex'))
  return { damage: reports.flatMap((report) => report.findings).filter(({ kind }) => kind === 'damage'), repairs }
}

function textOf({ file, aside, keepsRecords, keepsBatches, losesRecords }: Repair, dryRun: boolean): string {
  const keeps = `${dryRun ? 'would keep' : 'keeps'} ${formatNumber(keepsRecords)} records in ${formatNumber(keepsBatches)} batches`
  const loses = `loses ${losesRecords === 0 ? 'none' : formatNumber(losesRecords)}`
  return `${file}: ${keeps}, ${loses}; as it is it ${dryRun ? 'would be' : 'is'} kept as ${aside}\n`
}
