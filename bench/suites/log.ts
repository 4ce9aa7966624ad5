/**
 * `npm run bench -- log [part …]`: the log, in parts.
 *
 * - `alone`: records a second into a log in this process, against `memcpy` and raw `writev` loops.
 * - `recovery`: what a start takes, of unsealed and of sealed segments.
 * - `dirty`: many logs that are synced in one turn, against one journal for all of them.
 */

import type { Bench } from '../measure.ts'
import { dirtyFiles } from './log/dirty.ts'
import { produceAlone } from './log/produce.ts'
import { recovery } from './log/recovery.ts'

const parts: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  alone: produceAlone,
  recovery,
  dirty: dirtyFiles,
}

export async function run(bench: Bench): Promise<void> {
  const unknown = bench.parts.filter((part) => parts[part] === undefined)
  if (unknown.length > 0) throw new Error(`no part ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`)
  for (const [name, part] of Object.entries(parts)) {
    if (bench.parts.length === 0 || bench.parts.includes(name)) await part(bench)
  }
}
