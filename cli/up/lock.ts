/**
 * One `penstock up` per data folder: a file with the process ids of the supervisor and of its children.
 *
 * The children are in it because they outlive a supervisor that was killed by -9, for as long as they take to stop. Who
 * comes next waits for them: two brokers must not write one log.
 */

import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A process, told from a later one with the same number. */
interface ProcessMark {
  readonly pid: number
  /** When it started, in the kernel's own count (Linux); empty where that is not known. */
  readonly since: string
}

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
      if (lock.#tryLink()) return lock
      const holder = readBody(lock.#path)
      if (holder !== undefined && isRunning(holder.up)) {
        throw new Error(
          `another penstock up (process ${holder.up.pid}) runs on ${dataDir}: stop it, or set DATA_DIR to another folder`,
        )
      }
      if (holder !== undefined) await outlive(holder, dataDir, onWait)
      lock.#clear(holder)
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

  /** Makes the file whole under another name first, so that nobody reads half of it. */
  #tryLink(): boolean {
    const own = `${this.#path}.${process.pid}`
    this.#write(own)
    try {
      linkSync(own, this.#path)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      return false
    } finally {
      rmSync(own, { force: true })
    }
  }

  #write(path: string): void {
    const body: LockBody = { up: markOf(process.pid), children: this.#children }
    const next = `${path}.next`
    writeFileSync(next, `${JSON.stringify(body)}\n`)
    renameSync(next, path)
  }

  /** Moves a dead holder's file away. Of two that try, one may catch the other's new file, and gives it back. */
  #clear(dead: LockBody | undefined): void {
    const aside = `${this.#path}.${process.pid}.old`
    try {
      renameSync(this.#path, aside)
      if (readBody(aside)?.up.pid !== dead?.up.pid) linkSync(aside, this.#path)
    } catch {
      // Somebody else was faster; the next round sees what there is.
    }
    rmSync(aside, { force: true })
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
    const body = JSON.parse(readFileSync(path, 'utf8')) as Partial<LockBody>
    return typeof body.up?.pid === 'number' ? { up: body.up, children: body.children ?? {} } : undefined
  } catch {
    return undefined
  }
}

function markOf(pid: number): ProcessMark {
  return { pid, since: startOf(pid) }
}

/** Whether that very process runs. One that has ended and that nobody has waited for yet (a zombie) does not. */
function isRunning({ pid, since }: ProcessMark): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // Of another user, but there.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const now = startOf(pid)
  return now !== zombie && (since === '' || now === since)
}

const zombie = 'zombie'

/** Field 22 of /proc/<pid>/stat (proc(5)); the fields after the command's name, which may itself hold blanks. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? zombie : (fields[19] ?? '')
  } catch {
    return ''
  }
}
