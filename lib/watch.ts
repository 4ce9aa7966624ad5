/** What is made of files that may change while the process runs: certificates and keys, which are renewed. */

import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'

/**
 * How often the files are read again. A few KiB are read rather than watched: a secret that Kubernetes mounts is a link to a
 * folder that is exchanged, which watchers of files and of folders miss each in their own way.
 */
export const lookEveryMs = 2_000

export interface Watched<T> {
  /** Made of what the files held when they last could be used. */
  readonly value: T
  /** Calls back with each new value. */
  onChange(callback: (value: T) => void): void
  stop(): void
}

export interface WatchOptions<T> {
  /** @throws Error with a reason for the operator, when they cannot be used */
  make(contents: readonly Buffer[]): T
  /** New files cannot be used; what was made before stays. Told once of each such state of the files. */
  onTrouble(reason: string): void
  readonly everyMs?: number
}

/**
 * Makes a value of files, and a new one whenever they change. Files that belong together are renewed one after the other:
 * what cannot be used is told only when it still stands so at the next look.
 *
 * @throws what `make` throws, or the system's error, for the files as they are now
 */
export function watchFiles<T>(paths: readonly string[], options: WatchOptions<T>): Watched<T> {
  const { make, onTrouble, everyMs = lookEveryMs } = options
  const callbacks: ((value: T) => void)[] = []
  let seen = stateOf(paths.map((path) => readFileSync(path)))
  let value = make(paths.map((path) => readFileSync(path)))
  /** Why the files that were seen last cannot be used, until it is told. */
  let trouble: string | undefined

  async function look(): Promise<void> {
    let contents: Buffer[] | undefined
    let state: string
    let reason = ''
    try {
      contents = await Promise.all(paths.map((path) => readFile(path)))
      state = stateOf(contents)
    } catch (error) {
      reason = (error as Error).message
      state = `unread: ${reason}`
    }
    if (state === seen) {
      if (trouble !== undefined) onTrouble(trouble)
      trouble = undefined
      return
    }
    seen = state
    trouble = undefined
    if (contents === undefined) trouble = reason
    else {
      try {
        value = make(contents)
      } catch (error) {
        trouble = (error as Error).message
        return
      }
      for (const callback of callbacks) callback(value)
    }
  }

  let looking: Promise<void> | undefined
  const timer = setInterval(() => {
    // A disk that hangs must not gather looks.
    looking ??= look().finally(() => (looking = undefined))
  }, everyMs)
  timer.unref()
  return {
    get value() {
      return value
    },
    onChange: (callback) => void callbacks.push(callback),
    stop: () => clearInterval(timer),
  }
}

/** In hexadecimal digits, so that no content looks like two. */
function stateOf(contents: readonly Buffer[]): string {
  return contents.map((bytes) => bytes.toString('hex')).join(' ')
}
