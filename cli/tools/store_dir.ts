import { existsSync } from 'node:fs'
import { embeddedPath } from '#store/open'
import type { Io } from '../command.ts'
import { demoDirOf } from '../demo.ts'

/** The folder whose embedded store is meant: that of the demo, and it is said, where nothing but a demo was run. */
export function storeDirOf(dataDir: string, { stderr }: Pick<Io, 'stderr'>): string {
  const demo = demoDirOf(dataDir)
  if (existsSync(embeddedPath(dataDir)) || !existsSync(embeddedPath(demo))) return dataDir
  stderr.write(`penstock: ${dataDir} has no store, this is the demo's: ${demo}\n`)
  return demo
}
