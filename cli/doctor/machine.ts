/** Node and the limits of the process: files and memory. */

import { readFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { formatBytes } from '../table.ts'
import { type Finding, findingsOf } from './finding.ts'

const { ok, warning, problem } = findingsOf('machine')

const MiB = 2 ** 20

/** What a broker takes beside the ring of its newest records, roughly. */
const besidesRingBytes = 192 * MiB

const nodeMajor = 24

export function judgeNode(version: string): Finding {
  return Number(version.split('.')[0]) >= nodeMajor
    ? ok(`Node ${version}`)
    : problem(`Node ${version}: Penstock needs ${nodeMajor} or later`, `install Node ${nodeMajor}`)
}

/** @param limit how many files the process may have open */
export function judgeOpenFiles(
  limit: number,
  wants: { readonly connections: number; readonly files: number },
): Finding {
  const needed = wants.connections + wants.files
  const sum = `MAX_CONNECTIONS ${wants.connections}${wants.files === 0 ? '' : ` + MAX_OPEN_FILES ${wants.files}`}`
  return needed > limit
    ? warning(
        `this process may have ${limit} files open, ${sum} is ${needed}`,
        'raise ulimit -n (LimitNOFILE= of systemd), or lower these settings',
      )
    : ok(`${limit} open files are enough for ${sum}`)
}

/** @param limitBytes of the control group, or of the machine */
export function judgeMemory(limitBytes: number, ringBytes: number): Finding {
  const what = `MEMORY_BYTES is ${formatBytes(ringBytes)} of the ${formatBytes(limitBytes)} that this process may have`
  if (ringBytes >= limitBytes)
    return problem(`${what}: a broker is killed as it fills`, 'lower MEMORY_BYTES, or raise the limit')
  return ringBytes + besidesRingBytes > limitBytes
    ? warning(
        `${what}: a broker needs some ${formatBytes(besidesRingBytes)} besides`,
        'lower MEMORY_BYTES, or raise the limit',
      )
    : ok(what)
}

/** @param limits what `/proc/self/limits` says; `undefined` where it does not */
export function openFilesIn(limits: string): number | undefined {
  const found = /^Max open files\s+\S+\s+(\d+|unlimited)/m.exec(limits)?.[1]
  return found === undefined ? undefined : found === 'unlimited' ? Infinity : Number(found)
}

/** @param wants of a broker; `undefined` where none runs here */
export function lookAtMachine(
  connections: number,
  broker: { readonly files: number; readonly memoryBytes: number } | undefined,
): Finding[] {
  const limit = openFilesIn(textOf('/proc/self/limits') ?? '')
  return [
    judgeNode(process.versions.node),
    ...(limit === undefined ? [] : [judgeOpenFiles(limit, { connections, files: broker?.files ?? 0 })]),
    ...(broker === undefined ? [] : [judgeMemory(memoryLimit(), broker.memoryBytes)]),
  ]
}

/** The least of the control groups that this process is in, and the memory of the machine (cgroups(7), both versions). */
function memoryLimit(): number {
  const group = /^0::(.*)$/m.exec(textOf('/proc/self/cgroup') ?? '')?.[1] ?? '/'
  const folders = group.split('/').map((_, at, parts) => join('/sys/fs/cgroup', ...parts.slice(0, at + 1)))
  const files = [...folders.map((folder) => join(folder, 'memory.max')), '/sys/fs/cgroup/memory/memory.limit_in_bytes']
  const limits = files.map((path) => Number.parseInt(textOf(path) ?? '', 10)).filter((bytes) => !Number.isNaN(bytes))
  return Math.min(totalmem(), ...limits)
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
