/**
 * One `penstock up` per data folder: a file with the process ids of the supervisor and of its children.
 *
 * The children are in it because they outlive a supervisor that was killed by -9, for as long as they take to stop. Who
 * comes next waits for them: two brokers must not write one log.
 */

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { clearLock, isRunning, markOf, tryLock, type ProcessMark } from '#lib/lock'

interface LockBody {
  readonly up: ProcessMark
  readonly children: Readonly<Record<string, ProcessMark>>
}

/** What children of a dead supervisor may take: a little more than they give themselves (cli/stop.ts). */
const orphansMsMax = 8_000

export class Lock {
  readonly #path: string
  #children: Record<string, ProcessMark> = {}

  private constructor(path: string) {
    this.#path = path
  }

  /**
   * Takes the folder, after the children of a supervisor that was killed have ended.
   *
   * @param onWait told, once, when there are such children
   * @throws Error for the operator, when another supervisor runs there
   */
  static async take(dataDir: string, onWait: (names: readonly string[]) => void): Promise<Lock> {
    mkdirSync(dataDir, { recursive: true })
    const lock = new Lock(join(dataDir, 'up.lock'))
    for (;;) {
      if (tryLock(lock.#path, lock.#content())) return lock
      const holder = readBody(lock.#path)
      if (holder !== undefined && isRunning(holder.up)) {
        throw new Error(
          `another penstock up (process ${holder.up.pid}) runs on ${dataDir}: stop it, or set DATA_DIR to another folder`,
        )
      }
      if (holder !== undefined) await outlive(holder, dataDir, onWait)
      clearLock(lock.#path, (content) => bodyOf(content)?.up.pid === holder?.up.pid)
    }
  }

  /** Notes a child that was started. */
  add(name: string, pid: number | undefined): void {
    if (pid === undefined) return
    this.#children[name] = markOf(pid)
    this.#write(this.#path)
  }

  release(): void {
    rmSync(this.#path, { force: true })
  }

  #write(path: string): void {
    const next = `${path}.next`
    writeFileSync(next, this.#content())
    renameSync(next, path)
  }

  #content(): string {
    const body: LockBody = { up: markOf(process.pid), children: this.#children }
    return `${JSON.stringify(body)}\n`
  }
}

async function outlive(holder: LockBody, dataDir: string, onWait: (names: readonly string[]) => void): Promise<void> {
  const left = () => Object.entries(holder.children).filter(([, mark]) => isRunning(mark))
  if (left().length === 0) return
  onWait(left().map(([name]) => name))
  const deadlineMs = performance.now() + orphansMsMax
  while (performance.now() < deadlineMs) {
    await sleep(50)
    if (left().length === 0) return
  }
  const names = left().map(([name, { pid }]) => `${name} (process ${pid})`)
  throw new Error(`${names.join(', ')} of an earlier penstock up still runs on ${dataDir}: stop it, then try again`)
}

function readBody(path: string): LockBody | undefined {
  try {
    return bodyOf(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}

function bodyOf(content: string): LockBody | undefined {
  try {
    const body = JSON.parse(content) as Partial<LockBody>
    return typeof body.up?.pid === 'number' ? { up: body.up, children: body.children ?? {} } : undefined
  } catch {
    return undefined
  }
}
