/**
 * One process per data folder: two brokers that write one log would destroy it. The file `.lock` says who holds the folder;
 * no topic can be called so.
 */

import { readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { clearLock, isRunning, markOf, tryLock, type ProcessMark } from '#lib/lock'

const fileName = '.lock'

interface LockBody extends ProcessMark {
  /** What holds it, for messages. */
  readonly what: string
}

/** Folders that this process holds: where the kernel does not say when a process started, its number alone proves nothing. */
const held = new Set<string>()

export class FolderLock {
  readonly #path: string

  private constructor(path: string) {
    this.#path = path
  }

  /**
   * Takes the folder, which is there.
   *
   * @param what who takes it, for the message that another gets: `broker`
   * @throws Error for the operator when another process holds it, and the system's error when the folder cannot be written
   */
  static take(folder: string, what: string): FolderLock {
    const path = join(resolve(folder), fileName)
    const body: LockBody = { ...markOf(process.pid), what }
    while (!tryLock(path, `${JSON.stringify(body)}\n`)) {
      const holder = holderOf(folder)
      if (holder !== undefined) throw new Error(heldText(folder, holder))
      clearLock(path, (content) => !isHeld(path, content))
    }
    held.add(path)
    return new FolderLock(path)
  }

  release(): void {
    if (held.delete(this.#path)) rmSync(this.#path, { force: true })
  }
}

/** Which process holds a folder, if one that runs does. */
export function holderOf(folder: string): LockBody | undefined {
  const path = join(resolve(folder), fileName)
  try {
    const content = readFileSync(path, 'utf8')
    return isHeld(path, content) ? bodyOf(content) : undefined
  } catch {
    return undefined
  }
}

function heldText(folder: string, { pid, what }: LockBody): string {
  return `${folder} is in use by a ${what} (process ${pid}): stop it, or set DATA_DIR to another folder`
}

function isHeld(path: string, content: string): boolean {
  const body = bodyOf(content)
  if (body === undefined) return false
  return body.pid === process.pid ? held.has(path) : isRunning(body)
}

/** Nothing of a file that a power loss has emptied. */
function bodyOf(content: string): LockBody | undefined {
  try {
    const { pid, since, what } = JSON.parse(content) as Partial<LockBody>
    return typeof pid === 'number' ? { pid, since: since ?? '', what: what ?? 'broker' } : undefined
  } catch {
    return undefined
  }
}
