/** `penstock log dump`: the records of one log, from its files. */

import { once } from 'node:events'
import { dumpLog, type Dumped } from '#broker/check/dump'
import { topicsOf } from '#broker/check/folder'
import { lostText } from '#broker/check/report'
import { readOnlyDisk } from '#broker/disk/readonly'
import { commonSettings, setting } from '#lib/settings'
import type { Offset } from '#wire/ids'
import { didYouMean } from '../args.ts'
import { command, type Io } from '../command.ts'
import { foldersOf, timeText, warnOfBroker } from './log_files.ts'

const settings = {
  dataDir: commonSettings.dataDir,
  topic: setting.text('TOPIC', { help: 'the topic; wanted' }),
  partition: setting.integer('PARTITION', { help: 'the partition', default: '0', min: 0 }),
  from: setting.integer('FROM', {
    help: 'the first offset to print',
    default: '0',
    min: 0,
    max: Number.MAX_SAFE_INTEGER,
  }),
  limit: setting.integer('LIMIT', { help: 'how many records to print; all where nothing is said', min: 1 }),
  headers: setting.boolean('HEADERS', { help: 'a line for each batch, before its records', default: 'false' }),
}

export const dump = command({
  name: 'log dump',
  usage: '[DATA_DIR]',
  about: `Prints the records of one log from the files of a broker: a JSON object a line with id, time of the append, data.
Damage is read past and told on standard error; the exit status is 1 then.
`,
  more: `  penstock log dump data/broker-0 --topic telemetry --partition 3 --from 1000 --limit 10
  penstock log dump data/broker-0 --topic telemetry --headers
`,
  settings,
  reads: ['DATA_DIR'],
  positionals: { max: 1 },
  async run({ dataDir, topic, partition, from, limit = Infinity, headers }, io, { positionals }) {
    const folders = await foldersOf(positionals[0], dataDir)
    const [folder] = folders as [string]
    if (folders.length > 1) throw new Error(`there are several brokers: give one of ${folders.join(', ')}`)
    await checkTarget(folder, topic, partition)
    warnOfBroker(folder, io)
    let printed = 0
    let status = 0
    for await (const dumped of dumpLog(readOnlyDisk, `${folder}/${topic}/partition-${partition}`, from as Offset)) {
      if (io.signal.aborted) return 1
      if (dumped.kind === 'damage') {
        status = 1
        io.stderr.write(`${damageText(dumped)}\n`)
        continue
      }
      const records = wanted(dumped, from, limit - printed)
      if (headers) await write(headerLine(dumped), io)
      for (const line of records) await write(line, io)
      printed += records.length
      if (printed >= limit) break
    }
    return status
  },
})

async function checkTarget(folder: string, topic: string | undefined, partition: number): Promise<void> {
  const topics = await topicsOf(readOnlyDisk, folder)
  const there = `there are ${topics.join(', ') || 'none'}`
  if (topic === undefined) throw new Error(`which topic? --topic T; ${there}`)
  if (!topics.includes(topic)) throw new Error(`no topic "${topic}"${didYouMean(topic, topics)}: ${there}`)
  const inside = await readOnlyDisk.list(`${folder}/${topic}`)
  if (inside.includes(`partition-${partition}`)) return
  const partitions = inside.filter((name) => name.startsWith('partition-')).map((name) => name.slice(10))
  throw new Error(`${topic} has no partition ${partition}: there are ${partitions.join(', ')}`)
}

function wanted({ head, records }: Extract<Dumped, { kind: 'batch' }>, from: number, room: number): string[] {
  const lines: string[] = []
  for (const [at, { id, data }] of records.entries()) {
    if (head.firstOffset + at < from) continue
    if (lines.length >= room) break
    lines.push(`${JSON.stringify({ id, time: timeText(head.appendMs), data })}\n`)
  }
  return lines
}

function headerLine({ head, file, position }: Extract<Dumped, { kind: 'batch' }>): string {
  const { firstOffset: first, count, bytes, appendMs, producer, sequence, fields } = head
  const time = timeText(appendMs)
  const rest = { producer, sequence, ...Object.fromEntries(fields) }
  return `${JSON.stringify({ batch: first, count, bytes, time, ...rest, file, position })}\n`
}

function damageText({ file, from, to, lost }: Extract<Dumped, { kind: 'damage' }>): string {
  const what = from === to ? `${file}, byte ${from}` : `${file}: bytes ${from} to ${to} are damaged`
  return `${what}: ${lost === undefined ? 'what stood there is not known' : lostText(lost)}`
}

async function write(line: string, io: Io): Promise<void> {
  if (!io.stdout.write(line)) await once(io.stdout, 'drain')
}
