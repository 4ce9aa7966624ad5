/** The data folder: who it belongs to, who holds it, and what the disk under it is good for. */

import { access, constants, readFile, stat, statfs } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { dataFormat } from '#broker/broker'
import { usualFloor } from '#broker/floor'
import { holderOf } from '#broker/lock'
import { formatBytes } from '../table.ts'
import { type Finding, findingsOf } from './finding.ts'

const { ok, warning, problem, skipped } = findingsOf('disk')

/** A disk that does not say for so long what it has hangs. */
const hangingMs = 2_000

/** What of the settings the disk is judged by. */
export interface DiskWants {
  /** `undefined`: the usual one. */
  readonly floorBytes: number | undefined
  /** A broker with topics that survive a stop. */
  readonly isDurable: boolean
  readonly brokerIndex: number
}

export interface DiskFacts {
  readonly folder: string
  readonly freeBytes: number
  readonly totalBytes: number
  /** How many files can still be made; 0 of 0 where the file system has no such bound. */
  readonly freeFiles: number
  readonly allFiles: number
  /** `f_type` of statfs(2). */
  readonly type: number
}

/** The magic numbers of statfs(2) of what is not a disk of this machine. */
const memoryTypes = new Map([
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
])
const layerType = 0x794c7630
const networkTypes = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
])

/** What is wrong with the disk under a folder. */
export function judgeDisk(facts: DiskFacts, { floorBytes, isDurable }: Omit<DiskWants, 'brokerIndex'>): Finding[] {
  const { folder, freeBytes, freeFiles, allFiles } = facts
  const floor = floorBytes ?? usualFloor(facts)
  const free = `${folder}: ${formatBytes(freeBytes)} of ${formatBytes(facts.totalBytes)} are free`
  const space =
    freeBytes < floor
      ? problem(
          `${free}, below DISK_FLOOR (${formatBytes(floor)}): produce is refused`,
          'make the volume larger, or let groups acknowledge what it holds (penstock lag)',
        )
      : freeBytes < 2 * floor
        ? warning(`${free}; at ${formatBytes(floor)} produce is refused`, 'make the volume larger soon')
        : ok(`${free}, DISK_FLOOR is ${formatBytes(floor)}`)
  const files =
    allFiles > 0 && freeFiles < allFiles / 100
      ? [
          problem(
            `${folder}: ${freeFiles} of ${allFiles} files (inodes) are free`,
            'remove files that are not needed, or make a larger file system',
          ),
        ]
      : []
  return [space, ...files, ...judgeKind(facts, isDurable)]
}

function judgeKind({ folder, type }: DiskFacts, isDurable: boolean): Finding[] {
  // Some systems give it as a signed number.
  const kind = type >>> 0
  const memory = memoryTypes.get(kind)
  const network = networkTypes.get(kind)
  if (memory !== undefined) {
    const what = `${folder} is on ${memory}: what is written there is gone at the next start of the machine`
    const mend = 'set DATA_DIR to a folder on a disk, or give the topics durability=memory'
    return [isDurable ? problem(what, mend) : warning(what, 'set DATA_DIR to a folder on a disk')]
  }
  if (kind === layerType) {
    return [warning(`${folder} is in the layer of a container, and goes with it`, 'mount a volume there')]
  }
  return network === undefined
    ? []
    : [warning(`${folder} is on ${network}: its locks and syncs are not those of a disk`, 'use a block device')]
}

/** @param text what the file `identity` of a broker's folder says */
export function judgeIdentity(folder: string, text: string, brokerIndex: number): Finding {
  let identity: { format?: unknown; broker?: unknown; draining?: unknown }
  try {
    identity = JSON.parse(text) as typeof identity
  } catch {
    return problem(
      `${folder}/identity is no JSON: a broker does not start on it`,
      'restore the folder, or see penstock log check',
    )
  }
  const { format, broker, draining } = identity
  if (format !== dataFormat) {
    return problem(
      `${folder} is of format ${String(format)}, this program reads ${dataFormat}`,
      'run the version of Penstock that wrote it',
    )
  }
  if (broker !== brokerIndex) {
    return problem(
      `${folder} belongs to broker ${String(broker)}, BROKER_INDEX is ${brokerIndex}`,
      'set BROKER_INDEX, or DATA_DIR, so that they fit',
    )
  }
  return draining === true
    ? warning(
        `${folder}: broker ${brokerIndex} is being emptied, and takes no records`,
        `penstock drain ${brokerIndex} --undo takes it back`,
      )
    : ok(`${folder} is that of broker ${brokerIndex}, format ${dataFormat}`)
}

/**
 * Who holds the folder.
 *
 * @param isServing whether a role of ours answers at PORT; `undefined` where no PORT is given
 */
export function judgeHolder(folder: string, pid: number | undefined, isServing: boolean | undefined): Finding {
  if (pid === undefined) return ok(`${folder} is held by no process`)
  return isServing === false
    ? warning(
        `${folder} is held by process ${pid}, and nothing answers at PORT: a broker started here ends at once`,
        `stop process ${pid}, or set DATA_DIR to another folder`,
      )
    : ok(`${folder} is held by process ${pid}, a running broker`)
}

/**
 * By calls that leave the process free, because a network disk that hangs must not stop the other looks.
 *
 * @param isExpected whether some role here needs the folder
 */
export async function lookAtDisk(
  folder: string,
  wants: DiskWants,
  { isExpected, isServing }: { readonly isExpected: boolean; readonly isServing: boolean | undefined },
): Promise<Finding[]> {
  const standing = await existing(resolve(folder))
  if (standing !== resolve(folder) && !isExpected) return [skipped(`DATA_DIR=${folder} is not there`)]
  const found = await stat(standing)
  if (!found.isDirectory()) return [problem(`${standing} is not a folder`, 'set DATA_DIR to a folder')]
  try {
    await access(standing, constants.W_OK | constants.X_OK)
  } catch (error) {
    const code = String((error as NodeJS.ErrnoException).code)
    return [
      problem(
        `${standing} cannot be written by this user (${code})`,
        'change its owner, mount it for writing, or set DATA_DIR to another',
      ),
    ]
  }
  const { bavail, blocks, bsize, ffree, files, type } = await statfs(standing)
  const space = { freeBytes: bavail * bsize, totalBytes: blocks * bsize, freeFiles: ffree, allFiles: files }
  return [
    ...judgeDisk({ folder, type, ...space }, wants),
    ...(await lookAtIdentity(folder, wants.brokerIndex, isServing)),
  ]
}

/** Whether a folder is that of a broker. */
export function isBrokers(folder: string): Promise<boolean> {
  return isThere(join(folder, 'identity'))
}

async function lookAtIdentity(folder: string, brokerIndex: number, isServing: boolean | undefined): Promise<Finding[]> {
  if (!(await isBrokers(folder))) return []
  return [
    judgeIdentity(folder, await readFile(join(folder, 'identity'), 'utf8'), brokerIndex),
    judgeHolder(folder, holderOf(folder)?.pid, isServing),
  ]
}

/** The folder, or the nearest one above it that is there: a role makes what is missing. */
async function existing(path: string): Promise<string> {
  return dirname(path) === path || (await isThere(path)) ? path : existing(dirname(path))
}

function isThere(path: string): Promise<boolean> {
  const found = stat(path).then(
    () => true,
    () => false,
  )
  return Promise.race([found, sleep(hangingMs, false, { ref: false })])
}
