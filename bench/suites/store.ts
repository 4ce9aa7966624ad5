/**
 * `npm run bench -- store [part …]`: the embedded store, in parts. One process, one core.
 *
 * - `write`: what a record costs, against `JSON.parse` of it and the bare insert of its row.
 * - `sealed`: what a sample takes once its hour is sealed, and what sealing takes, against writing.
 * - `queries`: the newest values of 10,000 GPUs; a day of seconds by minutes, of one GPU and of a thousand.
 * - `layouts`: layouts of the table of points, by the bare insert.
 */

import type { Bench } from '../measure.ts'
import { layouts } from './store/layouts.ts'
import { queries } from './store/queries.ts'
import { sealed } from './store/sealed.ts'
import { write } from './store/write.ts'

const parts: Readonly<Record<string, (bench: Bench) => Promise<void>>> = { write, sealed, queries, layouts }

export async function run(bench: Bench): Promise<void> {
  const unknown = bench.parts.filter((part) => parts[part] === undefined)
  if (unknown.length > 0) throw new Error(`no part ${unknown.join(', ')}; there are ${Object.keys(parts).join(', ')}`)
  for (const [name, part] of Object.entries(parts)) {
    if (bench.parts.length > 0 && !bench.parts.includes(name)) continue
    bench.say(name)
    await part(bench)
  }
}
