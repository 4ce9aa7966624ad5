/** What a process costs. */

import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

/** Processor ticks are hundredths of a second on every Linux that Node runs on. */
const ticksPerSecond = 100

/** Seconds that a process has been on a processor so far, its own code and the kernel's for it; NaN where there is no `/proc`. */
export function cpuSecondsOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name, in parentheses, may hold spaces. utime and stime are the fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
  } catch {
    return NaN
  }
}

/** The share of this machine's processors that is taken within a second: by others, when nothing of ours runs. */
export async function busyShare(): Promise<number> {
  const before = idleAndAll()
  await sleep(1_000)
  const after = idleAndAll()
  return 1 - (after.idle - before.idle) / (after.all - before.all)
}

function idleAndAll(): { readonly idle: number; readonly all: number } {
  const times = cpus().map((each) => each.times)
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
  return { idle: sum(times.map(({ idle }) => idle)), all: sum(times.flatMap((each) => Object.values(each))) }
}
