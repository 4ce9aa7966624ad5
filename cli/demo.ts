import { join } from 'node:path'

/** Where the demo keeps its data: a folder of its own, so that they never end up among real values. */
export function demoDirOf(dataDir: string): string {
  return join(dataDir, 'demo')
}
