/**
 * Which GPUs there are, what each is called, and what is peculiar to it. Everything here follows from the seed and
 * the GPU's place, so a larger fleet of the same seed holds the same names.
 */

import { keyOf, Random } from './prng.ts'

/** A GPU's place, names and nature. */
export interface Device {
  /** Its place in the inventory, from 0. */
  readonly index: number
  /** The place of its host, from 0. */
  readonly host: number
  readonly hostname: string
  /** Its number on the host: `gpu_id`. */
  readonly slot: number
  readonly uuid: string
  /** The key of its noise. */
  readonly key: number
  readonly idleW: number
  /** What it draws more once a process holds it and its clocks are up. */
  readonly contextW: number
  /** How far it stands above the inlet's air before it draws anything: those behind others in the air stream more. */
  readonly positionC: number
  /** Degrees for each watt. */
  readonly resistance: number
}

/** The GPUs to which something is bound to happen in a fleet's first hour, by their index. `undefined`: too few GPUs. */
export interface Cast {
  /** Poorly cooled: throttles when it works. */
  readonly hot: number | undefined
  /** Holds memory at 0 % utilisation from the start on. */
  readonly stuck: number | undefined
  /** Out of service: idle from the start on. */
  readonly idle: number | undefined
  /** Has XID errors, and falls off the bus now and then. */
  readonly flaky: number | undefined
}

export interface Inventory {
  readonly devices: readonly Device[]
  readonly cast: Cast
}

export const modelName = 'NVIDIA H100 80GB HBM3'
export const driverVersion = '550.127.08'

/** Memory that a process can have on this model, and what the driver keeps of the rest, in MiB. */
export const framebufferMiB = 81_007
export const reservedMiB = 552

/** Degrees a watt of the poorly cooled GPU; the others have half of it. */
const hotResistance = 0.115

/** Odd slots stand in the cold air, even ones behind them; the last pair is the warmest. */
const positionsC = [6, 1, 8, 2, 10, 1.5, 11, 3]

/**
 * The fleet of a seed. In a fleet of two hosts or more, one host lacks one GPU (a real fleet's inventory has such holes),
 * so the number of devices is hosts x gpusPerHost - 1.
 */
export function makeInventory(seed: number, hosts: number, gpusPerHost: number): Inventory {
  const random = new Random(keyOf(seed, 'inventory'))
  const missingHost = hosts >= 2 && gpusPerHost >= 2 ? random.integer(hosts) : -1
  const missingSlot = gpusPerHost - 2
  const places: { host: number; slot: number }[] = []
  for (let host = 0; host < hosts; host++) {
    for (let slot = 0; slot < gpusPerHost; slot++) {
      if (host !== missingHost || slot !== missingSlot) places.push({ host, slot })
    }
  }
  const [hot, stuck, idle, flaky] = shuffled(random, places.length)
  const devices = places.map(({ host, slot }, index) => makeDevice(seed, index, host, slot, index === hot))
  return { devices, cast: { hot, stuck, idle, flaky } }
}

function makeDevice(seed: number, index: number, host: number, slot: number, hot: boolean): Device {
  const key = keyOf(seed, `host ${host}`, slot)
  const random = new Random(key)
  return {
    index,
    host,
    hostname: hostnameOf(host),
    slot,
    uuid: uuidOf(seed, host, slot),
    key,
    idleW: random.between(66, 79),
    contextW: random.between(40, 55),
    positionC: (positionsC[slot % positionsC.length] as number) + random.between(-1, 1),
    resistance: hot ? hotResistance : random.between(0.054, 0.068),
  }
}

/** `gpu-a01` .. `gpu-a16`, `gpu-b01` …, after `gpu-z16` `gpu-aa01`: sixteen hosts a rack. */
function hostnameOf(host: number): string {
  let rack = ''
  for (let number = Math.floor(host / 16); number >= 0; number = Math.floor(number / 26) - 1) {
    rack = String.fromCharCode(97 + (number % 26)) + rack
  }
  return `gpu-${rack}${String((host % 16) + 1).padStart(2, '0')}`
}

/** 128 bits in four independent hashes: one of 32 bits would give two GPUs of a large fleet one name. */
function uuidOf(seed: number, host: number, slot: number): string {
  let hex = ''
  for (let i = 0; i < 4; i++) hex += keyOf(seed, `uuid ${i} of host ${host}`, slot).toString(16).padStart(8, '0')
  return `GPU-${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

function shuffled(random: Random, length: number): number[] {
  const order = Array.from({ length }, (_, index) => index)
  for (let i = length - 1; i > 0; i--) {
    const j = random.integer(i + 1)
    const moved = order[i] as number
    order[i] = order[j] as number
    order[j] = moved
  }
  return order
}
