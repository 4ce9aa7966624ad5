/**
 * What jobs do: their kinds, and the phases each kind goes through.
 */

import type { Load, Owner } from './gpu.ts'
import { framebufferMiB } from './inventory.ts'
import type { Random } from './prng.ts'

/** A kind of work. Ranges are drawn from once a job. */
interface Kind {
  readonly name: 'pretrain' | 'finetune' | 'simulate' | 'serve' | 'notebook'
  readonly weight: number
  readonly sizes: readonly number[]
  readonly util: readonly [number, number]
  readonly swing: number
  readonly copy: readonly [number, number]
  readonly intensity: readonly [number, number]
  /** Of the GPU's memory. */
  readonly memory: readonly [number, number]
  /** How long it works before it writes a checkpoint (or its user stops to think), and how long that takes, in seconds. */
  readonly workS: readonly [number, number]
  readonly pauseS: readonly [number, number]
  readonly durationS: number
  /** Run by the batch system: the owner is a job number, not a pod. */
  readonly batch: number
  readonly container: string
}

const kinds: readonly Kind[] = [
  {
    name: 'pretrain',
    weight: 30,
    sizes: [8, 8, 8, 16, 16, 32],
    util: [93, 99],
    swing: 5,
    copy: [0.25, 0.55],
    intensity: [0.65, 0.95],
    memory: [0.55, 0.95],
    workS: [300, 900],
    pauseS: [15, 60],
    durationS: 3600,
    batch: 0.5,
    container: 'trainer',
  },
  {
    name: 'finetune',
    weight: 30,
    sizes: [1, 2, 4, 4, 8],
    util: [84, 98],
    swing: 8,
    copy: [0.3, 0.7],
    intensity: [0.55, 0.85],
    memory: [0.4, 0.85],
    workS: [180, 600],
    pauseS: [10, 40],
    durationS: 1800,
    batch: 0.2,
    container: 'trainer',
  },
  {
    name: 'simulate',
    weight: 15,
    sizes: [1, 1, 2, 4],
    util: [70, 100],
    swing: 6,
    copy: [0.05, 0.3],
    intensity: [0.25, 0.6],
    memory: [0.05, 0.3],
    workS: [400, 1200],
    pauseS: [5, 20],
    durationS: 2400,
    batch: 1,
    container: 'solver',
  },
  {
    name: 'serve',
    weight: 15,
    sizes: [1, 1, 2],
    util: [20, 70],
    swing: 30,
    copy: [0.4, 0.8],
    intensity: [0.35, 0.6],
    memory: [0.85, 0.96],
    workS: [300, 1200],
    pauseS: [20, 240],
    durationS: 5400,
    batch: 0,
    container: 'server',
  },
  {
    name: 'notebook',
    weight: 10,
    sizes: [1],
    util: [30, 95],
    swing: 15,
    copy: [0.1, 0.5],
    intensity: [0.3, 0.7],
    memory: [0.1, 0.9],
    workS: [20, 180],
    pauseS: [60, 900],
    durationS: 3600,
    batch: 0,
    container: 'notebook',
  },
]

const durationSigma = 0.8
const jobMsMin = 240_000
const jobMsMax = 36_000_000

const teams = ['nlp', 'vision', 'genomics', 'climate', 'speech', 'robotics']
const subjects = ['atlas', 'birch', 'comet', 'delta', 'ember', 'fjord', 'gauss', 'heron', 'iris', 'juno']

/** A job as it is asked for: how many GPUs, for how long, and what it does on them. */
export interface Plan {
  readonly name: string
  readonly gpus: number
  readonly durationMs: number
  readonly fillMs: number
  readonly work: Load
  /** Reads the input and fills memory. */
  readonly filling: Load
  /** Writes a checkpoint, or waits for its user. */
  readonly pause: Load
  readonly workS: readonly [number, number]
  readonly pauseS: readonly [number, number]
  /** The owner of the GPU of this rank. */
  ownerOf(rank: number): Owner
}

/** GPU-milliseconds of the mean job, in a fleet where a job gets at most `gpusMax` GPUs. */
export function meanJobGpuMs(gpusMax: number): number {
  const weights = kinds.reduce((sum, kind) => sum + kind.weight, 0)
  // The mean of a log-normal is its median times e^(sigma^2 / 2).
  const spread = 1.377
  const work = kinds.map((kind) => {
    const gpus = kind.sizes.reduce((sum, size) => sum + Math.min(size, gpusMax), 0) / kind.sizes.length
    return (kind.weight / weights) * gpus * kind.durationS * 1000 * spread
  })
  return work.reduce((sum, part) => sum + part, 0)
}

/** Draws a job; `number` names it. */
export function drawPlan(random: Random, number: number, gpusMax: number): Plan {
  return planOf(kinds[random.weighted(kinds.map((kind) => kind.weight))] as Kind, random, number, gpusMax)
}

/** The heaviest kind of work on one GPU, for a given time: what it takes to see a poorly cooled GPU throttle. */
export function heavyPlan(random: Random, number: number, durationMs: number): Plan {
  const kind = { ...(kinds[0] as Kind), sizes: [1], intensity: [0.92, 0.98], util: [97, 99] } as const
  return { ...planOf(kind, random, number, 1), durationMs }
}

function planOf(kind: Kind, random: Random, number: number, gpusMax: number): Plan {
  const team = random.pick(teams)
  const name = `${random.pick(subjects)}-${kind.name}-${number}`
  const batch = random.unit() < kind.batch
  const memoryMiB = Math.round(framebufferMiB * random.between(...kind.memory))
  const fillMs = Math.round(random.between(25, 60) * 1000 + memoryMiB)
  const held: Load = {
    util: 0,
    swing: 0,
    copy: 0,
    intensity: 0,
    fromMiB: memoryMiB,
    toMiB: memoryMiB,
    fillMs: 0,
    receiveBps: 2e6,
    sendBps: 2e6,
  }
  const work = {
    ...held,
    util: random.between(...kind.util),
    swing: kind.swing,
    copy: random.between(...kind.copy),
    intensity: random.between(...kind.intensity),
    receiveBps: random.between(2e8, 4e9),
    sendBps: random.between(5e7, 5e8),
  }
  const contextMiB = Math.min(memoryMiB, 520)
  return {
    name,
    gpus: Math.min(random.pick(kind.sizes), gpusMax),
    durationMs: Math.round(
      Math.min(jobMsMax, Math.max(jobMsMin, random.logNormal(kind.durationS * 1000, durationSigma))),
    ),
    fillMs,
    work,
    filling: { ...work, util: 4, swing: 6, fromMiB: contextMiB, fillMs: Math.round(fillMs * 0.9), receiveBps: 9e9 },
    pause: kind.pauseS[1] > 60 ? held : { ...held, sendBps: 1.1e10 },
    workS: kind.workS,
    pauseS: kind.pauseS,
    ownerOf: (rank) =>
      batch
        ? { container: '', pod: '', namespace: '', hpcJob: String(410_000 + number) }
        : { container: kind.container, pod: `${name}-${rank}`, namespace: team, hpcJob: '' },
  }
}
