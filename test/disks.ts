/** Small disks for tests, which nobody else sees, and which go with the last process that uses them. */

import { spawnSync } from 'node:child_process'
import { appendFileSync } from 'node:fs'

import { start, temporaryFolder, type Scope } from './start.ts'

/** tap's `skip` option: mounts of one's own take root, and Linux. */
export const skipWithoutMounts =
  spawnSync('unshare', ['-m', 'true']).status === 0 ? false : 'needs root on Linux, for mounts of its own'

/** A mount as processes see it that are started `under` it, and as this one sees it from `outside`. */
export interface Mounted {
  readonly inside: string
  readonly outside: string
  readonly under: string[]
}

/** @param mount the command that mounts something at a folder */
export async function mounted(t: Scope, mount: (folder: string) => string): Promise<Mounted> {
  const inside = temporaryFolder(t)
  const script = `mount --make-rprivate / && ${mount(inside)} && echo mounted && exec sleep infinity`
  const holder = start(t, 'unshare', ['-m', 'sh', '-c', script])
  await holder.waitFor(/^mounted$/)
  return { inside, outside: `/proc/${holder.pid}/root${inside}`, under: ['nsenter', '-t', String(holder.pid), '-m'] }
}

/** Writes until the disk takes nothing more. */
export function fillUp(path: string): void {
  for (let bytes = 2 ** 20; bytes >= 1; bytes = Math.floor(bytes / 2)) {
    try {
      for (;;) appendFileSync(path, Buffer.alloc(bytes))
    } catch {
      // A smaller piece may fit.
    }
  }
}
