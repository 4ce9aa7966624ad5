/** A whole data folder: its identity, its topics, their logs and groups, one report each as they are read. */

import { deadSuffix, isName, type Offset, type Ordinal, type Partition } from '#wire/ids'

import { dataFormat } from '../broker.ts'
import { readWhole, type Disk } from '../disk/disk.ts'
import { ForeignSegment } from '../log/segment.ts'
import { optionNames, readOptions } from '../options.ts'
import { checkGroup } from './group.ts'
import { checkLog } from './log.ts'
import type { Finding, FindingKind, FolderReport, Report, TopicReport } from './report.ts'

/** What of a folder is looked at; all of it where nothing is said. */
export interface CheckScope {
  readonly topic?: string | undefined
  readonly partition?: number | undefined
}

/**
 * Reads a data folder and nothing else: to be called on the files of a broker that is stopped.
 *
 * @param root the folder, with a file `identity`
 * @throws ForeignSegment when a newer version wrote it
 */
export async function* checkFolder(disk: Disk, root: string, scope: CheckScope = {}): AsyncGenerator<Report> {
  const folder = await checkIdentity(disk, root)
  yield folder
  for (const topic of await topicsOf(disk, root)) {
    if (scope.topic !== undefined && topic !== scope.topic) continue
    yield* checkTopic(disk, root, topic, folder.broker, scope.partition)
  }
}

/** The names of the topics in a folder, those of dead letters too. */
export async function topicsOf(disk: Disk, root: string): Promise<readonly string[]> {
  const topics: string[] = []
  for (const name of await disk.list(root)) {
    if (!isName(name)) continue
    const inside = await disk.list(`${root}/${name}`)
    if (inside.includes('topic.json') || inside.some(isPartition)) topics.push(name)
  }
  return topics
}

async function* checkTopic(
  disk: Disk,
  root: string,
  topic: string,
  broker: Ordinal | undefined,
  only: number | undefined,
): AsyncGenerator<Report> {
  const report = await checkOptions(disk, root, topic)
  yield report
  const { durability } = report
  const ends = new Map<Partition, Offset>()
  for (const partition of (await disk.list(`${root}/${topic}`)).filter(isPartition).map(partitionOf).toSorted(rising)) {
    if (only !== undefined && partition !== only) continue
    const name = `${topic}/partition-${partition}`
    const log = await checkLog(disk, root, { name, topic, partition, broker, durability })
    ends.set(partition, log.next)
    yield log
  }
  // Groups are held against all logs of their topic.
  if (only !== undefined) return
  for (const file of await disk.list(`${root}/${topic}/groups`)) {
    if (file.endsWith('.log')) yield checkGroup(disk, root, { topic, group: file.slice(0, -4), durability, ends })
  }
}

async function checkIdentity(disk: Disk, root: string): Promise<FolderReport> {
  const identity = await readJson(disk, `${root}/identity`)
  const { format, broker } = identity ?? {}
  if (typeof format === 'number' && format !== dataFormat) {
    throw new ForeignSegment(
      `${root} is of format ${format}, this program reads format ${dataFormat}: run the version of Penstock that wrote it`,
    )
  }
  if (format === dataFormat && Number.isInteger(broker)) {
    return { kind: 'folder', broker: broker as Ordinal, findings: [] }
  }
  const text = `is damaged: write {"format":${dataFormat},"broker":N} into it, N the BROKER_INDEX of this broker`
  return { kind: 'folder', broker: undefined, findings: [{ kind: 'damage', file: 'identity', text }] }
}

/** `topic.json`, and whether there is a folder for each partition. */
async function checkOptions(disk: Disk, root: string, topic: string): Promise<TopicReport> {
  const findings: Finding[] = []
  const note = (kind: FindingKind, file: string, text: string): void => {
    findings.push({ kind, file: `${topic}/${file}`, text })
  }
  const names = await disk.list(`${root}/${topic}`)
  const found = names.filter(isPartition).map(partitionOf)
  const count = Math.max(-1, ...found) + 1
  const isThere = names.includes('topic.json')
  const json = isThere ? await readJson(disk, `${root}/${topic}/topic.json`) : undefined
  const known = Object.entries(json ?? {}).filter(([name]) => optionNames.includes(name))
  const options = readOptions(Object.fromEntries(known))
  if ('wrong' in options || options.partitions === undefined) {
    const isUsed = await holdsFiles(disk, `${root}/${topic}`, found)
    if (isThere) note('damage', 'topic.json', `is damaged: write {"partitions":${count}} into it, or what was there`)
    else if (isUsed)
      note('damage', 'topic.json', `is missing: write {"partitions":${count}} into it, or what was there`)
    else note('note', 'topic.json', 'is not there: a crash while the topic was made; nothing was in it')
    return { kind: 'topic', topic, partitions: count, durability: 'fsync', findings }
  }
  const { partitions, durability = 'fsync' } = options
  for (let partition = 0; partition < partitions; partition++) {
    if (!names.includes(`partition-${partition}`)) note('damage', `partition-${partition}`, 'is missing')
  }
  for (const partition of found.filter((each) => each >= partitions)) {
    const isUsed = await holdsFiles(disk, `${root}/${topic}`, [partition])
    const text = `is beyond the ${partitions} partitions of the topic: it is not served`
    note(isUsed ? 'damage' : 'note', `partition-${partition}`, text)
  }
  if (topic.endsWith(deadSuffix) && partitions !== 1) note('note', 'topic.json', 'dead letters have one partition')
  return { kind: 'topic', topic, partitions, durability, findings }
}

async function holdsFiles(disk: Disk, folder: string, partitions: readonly Partition[]): Promise<boolean> {
  for (const partition of partitions) {
    const names = await disk.list(`${folder}/partition-${partition}`)
    if (names.some((name) => name.endsWith('.log'))) return true
  }
  return false
}

async function readJson(disk: Disk, path: string): Promise<Record<string, unknown> | undefined> {
  try {
    const value: unknown = JSON.parse((await readWhole(disk, path)).toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function isPartition(name: string): boolean {
  return /^partition-(0|[1-9]\d{0,4})$/.test(name)
}

function partitionOf(name: string): Partition {
  return Number(name.slice('partition-'.length)) as Partition
}

function rising(one: number, two: number): number {
  return one - two
}
