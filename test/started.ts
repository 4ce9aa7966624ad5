/** A started process as a test sees it: its output by line, its end, and waiting for either. */

import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Writable } from 'node:stream'

/** How a process ended: one of the two is set. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface Started {
  /** The command line, for messages. */
  readonly name: string
  readonly pid: number
  /** Standard output and standard error by line, in order of arrival; they grow. */
  readonly stdout: readonly string[]
  readonly stderr: readonly string[]
  /** The JSON lines of standard output: a role's log. */
  logs(): Record<string, unknown>[]
  /** Set when started with `stdin: 'pipe'`. */
  readonly stdin: Writable | null
  /** Resolves when the process has ended and its output is complete. Rejects when it could not be started. */
  readonly exited: Promise<Exit>
  hasExited(): boolean
  /** Sends the signal, SIGTERM unless told, and waits for the end. */
  kill(signal?: NodeJS.Signals): Promise<Exit>
  /**
   * The first line, of what came already or comes yet on either stream, that the test accepts.
   *
   * @throws Error with the last of the output when the process ends first, or the time is over
   */
  waitFor(accepts: RegExp | ((line: string) => boolean), timeoutMs?: number): Promise<string>
  /** The last lines of both streams, for messages. */
  tail(): string
}

/** A last resort against what never comes. On a machine shared with others, seconds become minutes. */
const waitTimeoutMs = 120_000
const tailLines = 40

export function startedProcess(child: ChildProcess, name: string): Started {
  const stdout: string[] = []
  const stderr: string[] = []
  const all: string[] = []
  const watchers = new Set<() => void>()
  const changed = () => watchers.forEach((watcher) => watcher())
  let ended: Exit | undefined

  for (const [stream, lines] of [
    [child.stdout, stdout],
    [child.stderr, stderr],
  ] as const) {
    if (stream === null) continue
    createInterface({ input: stream, crlfDelay: Infinity }).on('line', (line) => {
      lines.push(line)
      all.push(line)
      changed()
    })
  }

  const exited = new Promise<Exit>((resolve, reject) => {
    child.on('error', (error) => reject(new Error(`cannot start ${name}: ${error.message}`)))
    child.on('close', (code, signal) => {
      ended = { code, signal }
      resolve(ended)
      changed()
    })
  })
  // A test need not look at `exited`.
  exited.catch(changed)

  const tail = () => all.slice(-tailLines).join('\n')

  return {
    name,
    pid: child.pid ?? 0,
    stdout,
    stderr,
    stdin: child.stdin,
    exited,
    hasExited: () => ended !== undefined || child.pid === undefined,
    tail,
    logs: () =>
      stdout.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, unknown>),
    kill(signal = 'SIGTERM') {
      child.kill(signal)
      return exited
    },
    waitFor(accepts, timeoutMs = waitTimeoutMs) {
      const matches = typeof accepts === 'function' ? accepts : (line: string) => accepts.test(line)
      let seen = 0
      return new Promise((resolve, reject) => {
        const settle = (act: () => void) => {
          watchers.delete(look)
          clearTimeout(timer)
          act()
        }
        const fail = (why: string) =>
          settle(() => reject(new Error(`${name}: waited for ${String(accepts)}: ${why}\n${tail()}`)))
        const look = () => {
          for (; seen < all.length; seen++) {
            const line = all[seen] as string
            if (matches(line)) return settle(() => resolve(line))
          }
          if (ended !== undefined) fail(`it ended with ${ended.signal ?? `status ${ended.code}`}`)
          else if (child.pid === undefined) fail('it could not be started')
        }
        const timer = setTimeout(() => fail(`nothing within ${timeoutMs / 1_000} s`), timeoutMs)
        watchers.add(look)
        look()
      })
    },
  }
}
