/** `penstock log check`: what is sound, and what is not. */

import { checkFolder } from '#broker/check/folder'
import {
  emptySummary,
  sumUp,
  type Finding,
  type GroupReport,
  type LogReport,
  type Report,
  type Summary,
} from '#broker/check/report'
import { commonSettings, setting } from '#lib/settings'
import { command, type Io } from '../command.ts'
import { formatBytes, formatNumber, formatTable, printable } from '../table.ts'
import { foldersOf, timeText, warnOfBroker, WatchedDisk } from './log_files.ts'

const settings = {
  dataDir: commonSettings.dataDir,
  topic: setting.text('TOPIC', { help: 'only this topic' }),
  partition: setting.integer('PARTITION', { help: 'only this partition, and no groups', min: 0 }),
  json: setting.boolean('JSON', {
    help: 'a JSON object a line: each topic, log and group, then a summary',
    default: 'false',
  }),
}

export const check = command({
  name: 'log check',
  usage: '[DATA_DIR]',
  about: `Reads every file of a broker that is stopped, and says what is damaged, where, and which records are lost.
It changes nothing. The last line is a summary; the exit status is 0 when all is sound, 1 when something is
damaged. A torn tail (the end of a write that a crash cut off) and offsets that an unclean stop left unused
are told, and are sound.
`,
  more: `  penstock log check data/broker-0
  penstock log check data --topic telemetry --partition 3 --json
`,
  settings,
  reads: ['DATA_DIR'],
  positionals: { max: 1 },
  async run({ dataDir, topic, partition, json }, io, { positionals }) {
    const folders = await foldersOf(positionals[0], dataDir)
    const summary = emptySummary()
    const watched = new WatchedDisk(io)
    try {
      for (const folder of folders) {
        warnOfBroker(folder, io)
        const reports: Report[] = []
        for await (const report of checkFolder(watched.disk, folder, { topic, partition })) {
          sumUp(summary, report)
          if (json) watched.progress.print(`${JSON.stringify(jsonOf(folder, report))}\n`, io.stdout)
          else reports.push(report)
        }
        watched.progress.clear()
        if (!json) print(folder, reports, io)
      }
    } finally {
      watched.progress.clear()
    }
    if (topic !== undefined && summary.topics === 0)
      throw new Error(`there is no topic ${topic} in ${folders.join(', ')}`)
    if (partition !== undefined && summary.logs === 0)
      throw new Error(`there is no partition ${partition} of that topic`)
    const isSound = summary.found.damage === 0
    io.stdout.write(
      json ? `${JSON.stringify({ kind: 'summary', sound: isSound, ...summary })}\n` : `${lastLine(summary)}\n`,
    )
    return isSound ? 0 : 1
  },
})

function print(folder: string, reports: readonly Report[], io: Io): void {
  const logs = reports.filter((report) => report.kind === 'log')
  const groups = reports.filter((report) => report.kind === 'group')
  const broker = reports.find((report) => report.kind === 'folder')?.broker
  io.stdout.write(`${folder}: broker ${broker ?? '?'}\n`)
  if (logs.length > 0) io.stdout.write(`\n${formatTable<LogReport>(logColumns, logs)}`)
  if (groups.length > 0) io.stdout.write(`\n${formatTable<GroupReport>(groupColumns, groups)}`)
  const findings = reports.flatMap((report) => report.findings)
  if (findings.length > 0) io.stdout.write(`\n${findings.map(lineOf).join('')}`)
  io.stdout.write('\n')
}

const logColumns = [
  { head: 'TOPIC', of: (log: LogReport) => log.topic },
  { head: 'PARTITION', of: (log: LogReport) => log.partition },
  { head: 'FILES', of: (log: LogReport) => log.segments.length },
  { head: 'SEALED', of: sealed },
  { head: 'RECORDS', of: (log: LogReport) => log.records },
  { head: 'BYTES', of: (log: LogReport) => formatBytes(log.bytes), align: 'right' as const },
  { head: 'FROM', of: (log: LogReport) => log.first },
  { head: 'NEXT', of: (log: LogReport) => log.next },
  { head: 'FIRST', of: (log: LogReport) => timeText(log.firstMs) },
  { head: 'LAST', of: (log: LogReport) => timeText(log.lastMs) },
]

const groupColumns = [
  { head: 'TOPIC', of: (group: GroupReport) => group.topic },
  { head: 'GROUP', of: (group: GroupReport) => group.group },
  { head: 'BYTES', of: (group: GroupReport) => formatBytes(group.bytes), align: 'right' as const },
  {
    head: 'FLOORS',
    of: (group: GroupReport) => [...group.floors].map(([partition, { floor }]) => `${partition}:${floor}`).join(' '),
  },
]

function sealed(log: LogReport): number {
  return log.segments.filter((segment) => segment.trailer !== undefined).length
}

export function lineOf({ kind, file, text }: Finding): string {
  return `${kind.padEnd(6)}  ${printable(file)}: ${printable(text)}\n`
}

function lastLine({ topics, logs, segments, groups, records, bytes, found, lost }: Summary): string {
  const all =
    `${formatNumber(topics)} topics, ${formatNumber(logs)} logs, ${formatNumber(segments)} files, ` +
    `${formatNumber(groups)} groups, ${formatNumber(records)} records, ${formatBytes(bytes)}`
  const others = [...(found.torn > 0 ? [`${found.torn} torn`] : []), ...(found.hole > 0 ? [`${found.hole} holes`] : [])]
  if (found.damage === 0) return `sound: ${[all, ...others].join(', ')}`
  const damage = `${formatNumber(found.damage)} findings, ${formatNumber(lost)} records lost`
  return `damaged: ${damage}, in ${[all, ...others].join(', ')}; penstock log repair --dry-run says what can be kept`
}

function jsonOf(folder: string, report: Report): Record<string, unknown> {
  const findings = report.findings.map(({ kind, file, text, bytes, lost }) => ({
    kind,
    file,
    text,
    ...(bytes === undefined ? {} : { bytes_from: bytes.from, bytes_to: bytes.to }),
    ...(lost === undefined ? {} : { first_lost: lost.first, last_lost: lost.next - 1 }),
  }))
  const about = { kind: report.kind, folder }
  if (report.kind === 'folder') return { ...about, broker: report.broker ?? null, findings }
  if (report.kind === 'topic') {
    const { topic, partitions, durability } = report
    return { ...about, topic, partitions, durability, findings }
  }
  if (report.kind === 'group') {
    const { topic, group, bytes } = report
    return { ...about, topic, group, bytes, floors: Object.fromEntries(report.floors), findings }
  }
  const { topic, partition, logId, segments, first, next, records, bytes, firstMs, lastMs } = report
  return {
    ...about,
    topic,
    partition,
    log_id: logId ?? null,
    files: segments.length,
    sealed: sealed(report),
    first,
    next,
    records,
    bytes,
    first_time: timeText(firstMs) ?? null,
    last_time: timeText(lastMs) ?? null,
    findings,
  }
}
