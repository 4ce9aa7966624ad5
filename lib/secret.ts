/**
 * Secrets that may change while the process runs: a mounted file is read again when it is another one. Several are right at
 * once, so that the two sides of a connection need not change theirs at the same moment; the first is the one to send.
 */

import { readFileSync, statSync } from 'node:fs'
import { systemClock } from './clock.ts'

/** One secret or several. Ask anew for each use: that is when a file is looked at. */
export interface Secrets {
  /** The one to send. */
  readonly current: string
  /** All that are accepted; the same array as long as they are the same. */
  readonly all: readonly string[]
  /** From now on: what becomes of the file, in one line without a secret, and whether it is well. */
  tell(report: (line: string, isWell: boolean) => void): void
}

/** Secrets that stay as they are. */
export function fixedSecrets(...all: readonly [string, ...string[]]): Secrets {
  return { current: all[0], all, tell() {} }
}

/** How often a file is looked at, at most: what is asked for with each request must not cost a system call each. */
const lookMs = 1_000

/** Nothing that is a secret is longer. */
const secretFileBytesMax = 65_536

/**
 * Secrets in a file. Kubernetes swaps a link for another, editors rename: it is the path that is followed. A file that is
 * gone or wrong changes nothing but the log, since the secrets before are better than none.
 *
 * @throws SecretFileError when it cannot be read at the start
 */
export class FileSecrets implements Secrets {
  readonly #path: string
  readonly #read: (text: string) => readonly string[] | undefined
  readonly #monotonicMs: () => number
  #all: readonly string[]
  #seen: string
  #lookedMs: number
  #problem = ''
  #report: (line: string, isWell: boolean) => void = () => {}

  /** @param read the secrets of a text; `undefined` where it is wrong */
  constructor(
    path: string,
    read: (text: string) => readonly string[] | undefined,
    monotonicMs: () => number = systemClock.monotonicMs,
  ) {
    this.#path = path
    this.#read = read
    this.#monotonicMs = monotonicMs
    this.#seen = signatureOf(path)
    this.#lookedMs = monotonicMs()
    this.#all = this.#load()
  }

  get current(): string {
    return this.all[0] as string
  }

  get all(): readonly string[] {
    const nowMs = this.#monotonicMs()
    if (nowMs - this.#lookedMs >= lookMs) {
      this.#lookedMs = nowMs
      this.#look()
    }
    return this.#all
  }

  tell(report: (line: string, isWell: boolean) => void): void {
    this.#report = report
  }

  #look(): void {
    try {
      const seen = signatureOf(this.#path)
      if (seen === this.#seen && this.#problem === '') return
      const all = this.#load()
      this.#seen = seen
      this.#problem = ''
      if (all.join() === this.#all.join()) return
      this.#all = all
      this.#report(`${this.#path} has changed: ${all.length === 1 ? 'a secret' : `${all.length} secrets`}`, true)
    } catch (error) {
      const { message } = error as Error
      // Said once, not with every look.
      if (message !== this.#problem) this.#report(`${message}; what it held before stays`, false)
      this.#problem = message
    }
  }

  #load(): readonly string[] {
    const all = this.#read(readSecretFile(this.#path))
    if (all === undefined || all.length === 0) throw new SecretFileError('what it holds is wrong')
    return all
  }
}

/** A file of a secret that is no such thing; says nothing of what it holds. */
export class SecretFileError extends Error {
  override readonly name = 'SecretFileError'
}

/**
 * What a file of a secret holds: without the line end that editors add; several lines are a list with commas.
 *
 * @throws SecretFileError
 */
export function readSecretFile(path: string): string {
  const text = attempt(() => readFileSync(path, 'utf8')).trim()
  if (text === '') throw new SecretFileError('it is empty')
  if (text.length > secretFileBytesMax) throw new SecretFileError(`it is longer than ${secretFileBytesMax} characters`)
  return text.replaceAll(/\s*\n\s*/g, ',')
}

/** Differs when the path leads to another file, or the file was written. */
function signatureOf(path: string): string {
  const { dev, ino, size, mtimeNs } = attempt(() => statSync(path, { bigint: true }))
  return `${dev} ${ino} ${size} ${mtimeNs}`
}

function attempt<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw new SecretFileError(`it cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`)
  }
}
