/**
 * One GPU: what it is asked to do, and what its sensors say at any moment of that.
 *
 * Its state changes at events only (`assign`); between them everything is a closed form of the time, and noise is a hash
 * of the time. So a reading does not depend on the readings before it, nor on how often one looks.
 */

import { framebufferMiB, type Device } from './inventory.ts'
import { drift, exp, hash, hashAt } from './prng.ts'

/** What a process asks of its GPU in one phase. */
export interface Load {
  /** Mean utilisation in %, 0 to 100. */
  readonly util: number
  /** How far it moves around that, in percentage points. */
  readonly swing: number
  /** Memory bandwidth as a share of the utilisation, 0 to 1. */
  readonly copy: number
  /** How much power the work takes at full utilisation: 0 nothing above the context's, 1 all of the limit. */
  readonly intensity: number
  /** Memory held at the start and, after `fillMs`, at the end of filling, in MiB. */
  readonly fromMiB: number
  readonly toMiB: number
  readonly fillMs: number
  /** To and from the GPU over PCIe, bytes a second. */
  readonly receiveBps: number
  readonly sendBps: number
}

/** Who holds a GPU. A name that does not apply is ''. */
export interface Owner {
  readonly container: string
  readonly pod: string
  readonly namespace: string
  /** The number of a batch job (Slurm's), the label `hpc_job`. */
  readonly hpcJob: string
}

export const nobody: Owner = { container: '', pod: '', namespace: '', hpcJob: '' }

/** What a GPU shows at one moment, before it is put into any exporter's units. */
export interface Reading {
  utilPercent: number
  copyPercent: number
  engineShare: number
  tensorShare: number
  powerW: number
  energyJ: number
  coreC: number
  memoryC: number
  usedMiB: number
  smClockMHz: number
  memoryClockMHz: number
  /** DCGM_FI_DEV_CLOCKS_EVENT_REASONS, the bits of {@link reasonBits}. */
  reasons: number
  receiveBps: number
  sendBps: number
}

/** Why clocks are below what was asked for (NVML's nvmlClocksEventReasons). */
export const reasonBits = {
  idle: 0x01,
  softwarePowerCap: 0x04,
  hardwareSlowdown: 0x08,
  softwareThermal: 0x20,
  hardwareThermal: 0x40,
}

export const powerLimitW = 700
/** From here on clocks go down to keep the temperature. */
export const slowdownC = 86
const inletC = 23
const clockMaxMHz = 1980
const clockIdleMHz = 345
const memoryClockMHz = 2619
/** Driver and persistence daemon hold this much of a GPU that nobody uses. */
const idleMiB = 4
/** Die, lid and heat sink as one mass: it is two thirds of the way after this long. */
const heatMs = 70_000

const noWork: Load = {
  util: 0,
  swing: 0,
  copy: 0,
  intensity: 0,
  fromMiB: idleMiB,
  toMiB: idleMiB,
  fillMs: 0,
  receiveBps: 0,
  sendBps: 0,
}

export class Gpu {
  readonly device: Device
  owner: Owner = nobody
  /** Off the bus: the exporter does not know it. */
  gone = false
  /** Kept from the scheduler, whatever it does. */
  reserved = false
  /** Each XID it has reported since the start, with how often. */
  readonly xids = new Map<number, number>()
  lastXid = 0
  eccSingleBit = 0
  eccDoubleBit = 0
  remappedRows = 0
  pcieReplays = 0

  #load = noWork
  #sinceMs: number
  #meanW: number
  #heatFromC: number
  #heatToC: number
  #energyFromJ = 0

  constructor(device: Device, startMs: number) {
    this.device = device
    this.#sinceMs = startMs
    this.#meanW = device.idleW
    this.#heatToC = this.#steadyC(this.#meanW)
    this.#heatFromC = this.#heatToC
  }

  /** Nobody's, and may be given to a job. */
  get free(): boolean {
    return this.owner === nobody && !this.gone && !this.reserved
  }

  /** Memory held once the present load has filled it, in MiB. */
  get heldMiB(): number {
    return this.#load.toMiB
  }

  /** From `ms` on does `load`, for `owner`; without a load it is idle and holds nothing. */
  assign(ms: number, owner: Owner, load: Load = noWork): void {
    const heatC = this.#heatAt(ms)
    this.#energyFromJ = this.#energyAt(ms)
    this.owner = owner
    this.#load = load
    this.#sinceMs = ms
    this.#meanW = this.#unthrottledW(load.util)
    this.#heatFromC = heatC
    this.#heatToC = this.#steadyC(this.#meanW)
  }

  /** The sensors at `ms`, not before the last event, into `reading`: one object serves for all GPUs. */
  read(ms: number, reading: Reading): void {
    const { device } = this
    const load = this.#load
    const noise = hashAt(device.key, ms)
    const clocked = load !== noWork
    const exact = load.util === 0 ? 0 : this.#utilAt(ms, noise)
    const util = Math.round(exact)
    const wantedW = this.#unthrottledW(exact) * (1 + ((noise & 0xff) - 128) / (clocked ? 6400 : 12_800))
    const unthrottledC = this.#heatAt(ms) + drift(hash(device.host, 7), ms, 1_800_000) * 1.5
    const overC = unthrottledC - slowdownC
    let clock = clocked ? 1 : 0
    let reasons = clocked ? 0 : reasonBits.idle
    if (overC > 0 && clocked) {
      clock = 1 - Math.min(0.5, overC * 0.035)
      reasons |= reasonBits.softwareThermal
      if (overC > 12) reasons |= reasonBits.hardwareThermal | reasonBits.hardwareSlowdown
    }
    let powerW = clocked ? slowed(wantedW, device.idleW + device.contextW, clock) : wantedW
    if (powerW > powerLimitW - 5) {
      reasons |= reasonBits.softwarePowerCap
      clock *= powerLimitW / (powerW + 15)
      powerW = powerLimitW - (noise & 0x3ff) / 100
    }
    reading.utilPercent = util
    reading.copyPercent = Math.round(exact * load.copy * (0.85 + ((noise >>> 8) & 0x3f) / 210))
    reading.engineShare = clamp((exact / 100) * (0.95 + ((noise >>> 14) & 0x1f) / 620), 0, 1)
    reading.tensorShare = reading.engineShare * load.intensity * 0.6
    reading.powerW = powerW
    reading.energyJ = this.#energyAt(ms)
    reading.coreC = overC > 0 ? slowdownC + Math.min(2.4, overC * 0.1) : unthrottledC
    reading.memoryC = reading.coreC + 4 + 12 * load.copy * (exact / 100)
    reading.usedMiB = this.#usedAt(ms)
    reading.smClockMHz = clocked ? Math.floor((clockMaxMHz * clock) / 15) * 15 : clockIdleMHz
    reading.memoryClockMHz = memoryClockMHz
    reading.reasons = reasons
    reading.receiveBps = Math.round(load.receiveBps * (0.8 + ((noise >>> 19) & 0x3f) / 160))
    reading.sendBps = Math.round(load.sendBps * (0.8 + ((noise >>> 25) & 0x3f) / 160))
  }

  /** Counts an XID error. */
  report(xid: number): void {
    this.lastXid = xid
    this.xids.set(xid, (this.xids.get(xid) ?? 0) + 1)
  }

  #utilAt(ms: number, noise: number): number {
    const { key } = this.device
    const { util, swing } = this.#load
    const jitter = ((noise >>> 4) & 0xfff) / 2048 - 1
    // Now and then the sampling period of the driver falls into a synchronisation, and half of it is idle.
    const dip = noise >>> 27 === 0 && util > 50 ? 0.55 : 1
    return clamp((util + swing * (0.6 * drift(key, ms, 15_000) + 0.4 * jitter)) * dip, 0, 100)
  }

  #unthrottledW(util: number): number {
    const { idleW, contextW } = this.device
    if (this.#load === noWork) return idleW
    return idleW + contextW + ((powerLimitW - idleW - contextW) * this.#load.intensity * util) / 100
  }

  #steadyC(watts: number): number {
    return inletC + this.device.positionC + this.device.resistance * watts - this.device.resistance * this.device.idleW
  }

  #heatAt(ms: number): number {
    const sinceMs = ms - this.#sinceMs
    // After ten time constants the rest is below a thousandth of a degree.
    if (sinceMs > 10 * heatMs) return this.#heatToC
    return this.#heatToC + (this.#heatFromC - this.#heatToC) * exp(-sinceMs / heatMs)
  }

  /** The integral of the phase's mean power as throttled in its steady state, so it only ever rises. */
  #energyAt(ms: number): number {
    const overC = this.#heatToC - slowdownC
    const clock = overC > 0 ? 1 - Math.min(0.5, overC * 0.035) : 1
    const watts = slowed(this.#meanW, this.device.idleW + this.device.contextW, clock)
    return this.#energyFromJ + (watts * (ms - this.#sinceMs)) / 1000
  }

  #usedAt(ms: number): number {
    const { fromMiB, toMiB, fillMs } = this.#load
    const part = fillMs === 0 ? 1 : Math.min(1, (ms - this.#sinceMs) / fillMs)
    return Math.min(framebufferMiB, Math.round(fromMiB + (toMiB - fromMiB) * part))
  }
}

/** Power above that of an unused context goes with the square of the clock (voltage falls with frequency). */
function slowed(watts: number, contextW: number, clock: number): number {
  return watts <= contextW ? watts : contextW + (watts - contextW) * clock * clock
}

function clamp(value: number, low: number, high: number): number {
  return value < low ? low : value > high ? high : value
}
