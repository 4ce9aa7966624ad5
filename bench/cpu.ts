/** What a process costs. */

import { readFileSync } from 'node:fs'

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
