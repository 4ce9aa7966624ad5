/** `penstock store report|check|backup|vacuum`: the file of the embedded store. */

import { commonSettings } from '#lib/settings'
import { backUp, checkStore, reportOf, type TableReport, vacuum } from '#store/embedded/care'
import { embeddedPath } from '#store/open'
import { command, commandOf } from '../command.ts'
import { storeDirOf } from './store_dir.ts'
import { type Column, formatBytes, formatNumber, formatTable } from '../table.ts'

const settings = { dataDir: commonSettings.dataDir }
const reads = ['DATA_DIR']

const columns: readonly Column<TableReport>[] = [
  { head: 'TABLE', of: ({ table }) => table },
  { head: 'ROWS', of: ({ rows }) => rows },
  { head: 'SIZE', of: ({ bytes }) => formatBytes(bytes), align: 'right' },
  { head: 'SAMPLES', of: ({ samples }) => samples },
  { head: 'BYTES/SAMPLE', of: ({ samples, bytes }) => perSample(bytes, samples), align: 'right' },
]

const report = command({
  name: 'store report',
  about: `Says what each table of the embedded store takes, with its indexes, and how many bytes that
is a sample. Reads the whole file, also beside a collector that writes to it.
`,
  settings,
  reads,
  async run({ dataDir }, io) {
    const { tables, fileBytes, freeBytes, samples } = reportOf(embeddedPath(storeDirOf(dataDir, io)))
    io.stdout.write(formatTable(columns, tables))
    io.stdout.write(
      `\n${formatBytes(fileBytes)}, ${formatBytes(freeBytes)} of it free, ${formatNumber(samples)} samples, ` +
        `${perSample(fileBytes, samples) ?? '-'} bytes a sample\n`,
    )
    return 0
  },
})

const check = command({
  name: 'store check',
  about: `Looks at every page and every block of the embedded store, also beside a collector that writes to
it. Ends with status 1 if something is damaged, a line each.
`,
  settings,
  reads,
  async run({ dataDir }, io) {
    const path = embeddedPath(storeDirOf(dataDir, io))
    const { troubles, blocks, samples } = checkStore(path)
    io.stdout.write(troubles.map((trouble) => `${trouble}\n`).join(''))
    if (troubles.length > 0) return 1
    io.stdout.write(`${path} is sound: ${formatNumber(blocks)} blocks with ${formatNumber(samples)} samples\n`)
    return 0
  },
})

const backup = command({
  name: 'store backup',
  usage: 'FILE',
  about: `Copies the embedded store as it is at this moment to FILE, while a collector writes. To restore,
stop the collector and put the file in the place of DATA_DIR/store/penstock.db.
`,
  settings,
  reads,
  positionals: { min: 1, max: 1 },
  async run({ dataDir }, io, { positionals: [file = ''] }) {
    backUp(embeddedPath(storeDirOf(dataDir, io)), file)
    io.stdout.write(`copied to ${file}\n`)
    return 0
  },
})

const compact = command({
  name: 'store vacuum',
  about: `Writes the file of the embedded store anew, without its free space. Stop the collector first; it
takes as much space again until it is done.
`,
  settings,
  reads,
  async run({ dataDir }, io) {
    const path = embeddedPath(storeDirOf(dataDir, io))
    const before = reportOf(path).fileBytes
    vacuum(path)
    io.stdout.write(`${formatBytes(before)} before, ${formatBytes(reportOf(path).fileBytes)} now\n`)
    return 0
  },
})

export const store = commandOf(
  { report, check, backup, vacuum: compact },
  `penstock store report|check|backup|vacuum [flags]

The file of the embedded store, DATA_DIR/store/penstock.db.

  penstock store report       says what takes how much, and the bytes a sample
  penstock store check        looks at every page and every block
  penstock store backup FILE  copies it while a collector writes
  penstock store vacuum       gives free space back, while nothing writes

penstock store check --help shows the settings.
`,
)

function perSample(bytes: number, samples: number | undefined): string | undefined {
  return samples === undefined || samples === 0 ? undefined : (bytes / samples).toFixed(2)
}
