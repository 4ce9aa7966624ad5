/**
 * `npm run sim`: the broker's core on a simulated machine that crashes, seed by seed (broker/sim).
 *
 *     npm run sim -- --seeds 10000               seeds 1 to 10,000; status 0 only when nothing was wrong
 *     npm run sim -- --groups --seeds 10000      the same with more groups, and more consumers in them
 *     npm run sim -- --first 17 --seeds 1        one seed again, exactly; --trace prints each step
 *     npm run sim -- --break-recovery            a planted fault, which must be found; --break=NAME for the others
 */

import { parseArgs } from 'node:util'

import { breaks } from '#broker/sim/breaks'
import { runSeed } from '#broker/sim/simulate'

const usage = `usage: npm run sim -- [--seeds N] [--groups] [--first N] [--trace] [--break=NAME]      NAME: ${Object.keys(breaks).join(', ')}`

/** More than that are one mistake seen often. */
const printedMax = 20
const progressMs = 5000

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    first: { type: 'string', default: '1' },
    groups: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    break: { type: 'string' },
    'break-recovery': { type: 'boolean', default: false },
  },
})
const name = values['break-recovery'] ? 'recovery' : values.break
const seeds = Number(values.seeds)
const first = Number(values.first)

if (!(seeds > 0) || !(first >= 0) || (name !== undefined && breaks[name] === undefined)) {
  console.error(usage)
  process.exitCode = 2
} else {
  process.exitCode = (await run()) === 0 ? 0 : 1
}

async function run(): Promise<number> {
  const planted = name === undefined ? undefined : breaks[name]
  if (planted !== undefined) console.log(`planted: ${planted.what}`)
  const say = values.trace ? (line: string) => console.log(`  ${line}`) : undefined
  let seed = first
  let crashes = 0
  let violations = 0
  let steps = 0
  process.on('uncaughtException', (error) => {
    console.log(`seed ${seed}: nothing may be thrown where nobody catches it: ${error.stack}`)
    process.exit(1)
  })
  const startedMs = performance.now()
  let toldMs = startedMs
  for (; seed < first + seeds; seed++) {
    const result = await runSeed(seed, planted, say, values.groups ? 'groups' : undefined)
    crashes += result.crashes
    steps += result.steps
    if (result.violation !== undefined) {
      violations++
      const { step, expected, found } = result.violation
      if (violations <= printedMax) {
        console.log(`seed ${seed}, step ${step}\n  expected: ${expected}\n  found:    ${found}`)
      }
    }
    const nowMs = performance.now()
    if (nowMs - toldMs < progressMs) continue
    toldMs = nowMs
    const done = seed + 1 - first
    const rate = Math.round((done * 60_000) / (nowMs - startedMs))
    console.log(
      `… ${done} of ${seeds} seeds, ${steps} steps, ${crashes} crashes, ${violations} violations, ${rate} seeds/min`,
    )
    // The simulation never waits for anything; signals and output want a turn.
    await new Promise((resolve) => setImmediate(resolve))
  }
  if (violations > printedMax) console.log(`and ${violations - printedMax} more`)
  console.log(`seeds ${seeds}, crashes ${crashes}, violations ${violations}`)
  return violations
}
