/** Where the data folders of brokers are: the folder that somebody named, or those in it. */

import type { Disk } from '../disk/disk.ts'

/** Below the folder of `penstock up` stands `demo/`, and in it a folder a broker. */
const depthMax = 2

/** The folders with an `identity`, from one on down; in order. */
export async function findFolders(disk: Disk, folder: string, depth = depthMax): Promise<readonly string[]> {
  const names = await disk.list(folder)
  if (names.includes('identity')) return [folder]
  if (depth === 0) return []
  const found: string[] = []
  for (const name of names) found.push(...(await findFolders(disk, `${folder}/${name}`, depth - 1)))
  return found
}
