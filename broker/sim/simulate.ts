/** Runs seeds, one after the other, and counts. */

import type { Break, Focus } from './breaks.ts'
import { settled } from './schedule.ts'
import { World, type Violation } from './world.ts'

/** How a seed came out. */
export interface SeedResult {
  readonly steps: number
  readonly crashes: number
  /** The first thing that was wrong. What comes after it proves nothing. */
  readonly violation: Violation | undefined
}

/** Steps before everything may come to its end. */
const activeSteps = { min: 100, max: 700 }
const restSteps = 20_000

/** Runs one history. It depends on nothing but the seed and the code. */
export async function runSeed(
  seed: number,
  planted: Break | undefined,
  say: (line: string) => void = () => {},
  focus: Focus = planted?.focus ?? 'all',
): Promise<SeedResult> {
  const restore = planted?.install?.()
  try {
    const world = new World(seed, planted ?? { what: 'nothing' }, say, focus)
    await history(world)
    return { steps: world.step, crashes: world.crashes, violation: world.violations[0] }
  } finally {
    restore?.()
  }
}

async function history(world: World): Promise<void> {
  const active = world.random.between(activeSteps.min, activeSteps.max)
  world.start()
  await settled()
  while (world.step < active) {
    if (!world.go()) world.complain('something can go on', 'nothing waits for its turn')
    await settled()
    if (world.mishap()) await settled()
    if (world.violations.length > 0) return
  }
  world.rest()
  if (!(await goUntil(world, (step) => step % 8 === 0 && world.isAtRest, 'all comes to its end'))) return
  const last = world.life
  if (last === undefined) return
  await world.atRest(last)
  await world.look(last, 'at the end')
  if (world.violations.length > 0) return
  // Stopped in order and started again, after a power loss or not: it is all still there.
  let isStopped = false
  world.stop(last, () => {
    isStopped = true
  })
  if (!(await goUntil(world, () => isStopped, 'the broker stops'))) return
  if (world.random.chance(0.5)) world.crash('power loss')
  else world.start()
  if (!(await goUntil(world, () => world.life !== undefined, 'the broker starts'))) return
  if (world.life !== undefined) await world.look(world.life, 'after a stop')
}

async function goUntil(world: World, isDone: (step: number) => boolean, what: string): Promise<boolean> {
  await settled()
  for (let step = 0; !isDone(step); step++) {
    if (step > restSteps || !world.go()) {
      world.complain(`${what} within ${restSteps} steps`, world.unrest() ?? 'it does not')
    }
    await settled()
    if (world.violations.length > 0) return false
  }
  return true
}
