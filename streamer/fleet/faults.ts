/**
 * What goes wrong with GPUs: XID errors, ECC errors, one that falls off the bus and comes back after a repair.
 */

import type { Agenda } from './agenda.ts'
import { nobody, type Gpu } from './gpu.ts'
import { keyOf, Random } from './prng.ts'
import type { Scheduler } from './scheduler.ts'

/** The mean time between errors of a sound GPU, and of the flaky one. */
const soundMs = 1_500 * 3_600_000
const flakyMs = 40 * 60_000

interface Xid {
  readonly xid: number
  readonly weight: number
  /** Whether it ends the job. */
  readonly kills: boolean
}

/** XID codes (NVIDIA, "XID errors") and how often each comes, relative to the others. */
const xids: readonly Xid[] = [
  { xid: 31, weight: 40, kills: true }, // memory page fault of the process
  { xid: 13, weight: 15, kills: true }, // graphics engine exception
  { xid: 43, weight: 10, kills: true }, // the process stopped
  { xid: 94, weight: 15, kills: true }, // contained ECC error
  { xid: 63, weight: 12, kills: false }, // a row was remapped
  { xid: 79, weight: 8, kills: true }, // fallen off the bus
]

/** Enters the faults of all GPUs from `fromMs` on. The flaky one has its first within ten minutes, and is still there after. */
export function plagueWithFaults(
  seed: number,
  agenda: Agenda,
  scheduler: Scheduler,
  gpus: readonly Gpu[],
  flaky: Gpu | undefined,
  fromMs: number,
): void {
  for (const gpu of gpus) {
    const random = new Random(keyOf(seed, 'faults', gpu.device.key))
    const meanMs = gpu === flaky ? flakyMs : soundMs
    let possible = gpu === flaky ? xids.filter(({ xid }) => xid !== 79) : xids
    const fault = (ms: number): void => {
      agenda.at(ms + 1 + Math.ceil(random.exponential(meanMs)), fault)
      if (!gpu.gone) breakDown(ms, gpu, random, possible, scheduler, agenda)
      possible = xids
    }
    agenda.at(fromMs + Math.ceil(gpu === flaky ? random.between(120, 600) * 1000 : random.exponential(meanMs)), fault)
  }
}

function breakDown(
  ms: number,
  gpu: Gpu,
  random: Random,
  possible: readonly Xid[],
  scheduler: Scheduler,
  agenda: Agenda,
): void {
  const { xid, kills } = possible[random.weighted(possible.map((each) => each.weight))] as Xid
  gpu.report(xid)
  gpu.pcieReplays += random.integer(3)
  gpu.eccSingleBit += random.integer(20)
  if (xid === 94) gpu.eccDoubleBit++
  if (xid === 94 || xid === 63) gpu.remappedRows++
  // Before its job ends: otherwise the next one would be put there.
  gpu.gone = xid === 79
  if (kills) scheduler.kill(ms, gpu)
  if (gpu.gone) {
    gpu.assign(ms, nobody)
    agenda.at(ms + Math.round(random.between(15, 60) * 60_000), (at) => {
      gpu.gone = false
      scheduler.place(at)
    })
  }
}
