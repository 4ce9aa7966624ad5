/**
 * Kills what a test started when the test's own process dies without a chance to do it.
 *
 * One small shell per test process, outside its process group, holds the other end of a pipe. When the test process is
 * gone, whatever the reason, the pipe closes, and the shell kills the process groups that it was told of; on Linux also
 * every process that carries the test's mark in its environment, in case a child made a group of its own.
 */

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Writable } from 'node:stream'

const markName = 'PENSTOCK_TEST_MARK'
const mark = `${process.pid}-${randomUUID()}`

/** To be put into the environment of every child. */
export const markOfThisProcess = { [markName]: mark } as const

// Reads `+<group>` and `-<group>` lines until the pipe closes. `-s KILL --`, since dash takes `--` behind `-KILL` for a number, and kills
// nothing. The mark alone is not enough: redis-server writes its title over its environment.
const script = `
groups=' '
while read -r line; do
  group=\${line#?}
  case $line in
    +*) groups="$groups$group " ;;
    -*) groups="\${groups%% $group *} \${groups#* $group }" ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
for file in $(grep -lsa "${markName}=${mark}" /proc/[0-9]*/environ 2>/dev/null); do
  pid=\${file#/proc/}
  kill -KILL "\${pid%/environ}" 2>/dev/null
done
`

let pipe: Writable | undefined

/** Puts a child's process group under the watchdog. Returns what ends that, once the group is gone. */
export function guard(pid: number | undefined): () => void {
  if (pid === undefined) return () => {}
  pipe ??= startWatchdog()
  const held = pipe
  held.write(`+${pid}\n`)
  return () => held.write(`-${pid}\n`)
}

/** Kills the process group that a child leads: the child, and what it started and left behind. */
export function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // No process of the group is left.
  }
}

/** Whether a process runs. One that has ended and that nobody has waited for yet (a zombie) does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  try {
    // The state stands behind the command name, which may itself hold blanks and parentheses (proc(5)).
    return !/\) Z [^)]*$/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return process.platform !== 'linux'
  }
}

function startWatchdog(): Writable {
  // Its own environment carries no mark, or it would find itself.
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' }
  const shell = spawn('sh', ['-c', script], { detached: true, stdio: ['pipe', 'ignore', 'ignore'], env })
  shell.unref()
  const { stdin } = shell
  // The pipe must not keep the test's process alive.
  ;(stdin as unknown as { unref(): void }).unref()
  return stdin
}
