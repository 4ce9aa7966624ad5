/**
 * Files that say which process holds a folder. A process is told from a later one with the same number, so a lock whose
 * holder was killed is no lock.
 */

import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'

/** A process, told from a later one with the same number. */
export interface ProcessMark {
  readonly pid: number
  /** When it started, in the kernel's own count (Linux); empty where that is not known. */
  readonly since: string
}

export function markOf(pid: number): ProcessMark {
  return { pid, since: startOf(pid) }
}

/** Whether that very process runs. One that has ended and that nobody has waited for yet (a zombie) does not. */
export function isRunning({ pid, since }: ProcessMark): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // Of another user, but there.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const now = startOf(pid)
  return now !== zombie && (since === '' || now === since)
}

/**
 * Makes the lock, unless there is one. It is made whole under another name first, so that nobody reads half of it.
 *
 * @returns false when there is one
 */
export function tryLock(path: string, content: string): boolean {
  const own = `${path}.${process.pid}`
  writeFileSync(own, content)
  try {
    linkSync(own, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  } finally {
    rmSync(own, { force: true })
  }
}

/** Moves a dead holder's lock away. Of two that try, one may catch the other's new lock, and gives it back. */
export function clearLock(path: string, isDead: (content: string) => boolean): void {
  const aside = `${path}.${process.pid}.old`
  try {
    renameSync(path, aside)
    if (!isDead(readFileSync(aside, 'utf8'))) linkSync(aside, path)
  } catch {
    // Somebody else was faster; the next round sees what there is.
  }
  rmSync(aside, { force: true })
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
