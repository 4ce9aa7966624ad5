/**
 * Jobs come, wait, get GPUs (a whole host, or several hosts at once, where they are large), work in phases and end; some
 * leave a process behind that holds memory and does nothing.
 */

import type { Agenda } from './agenda.ts'
import { nobody, type Gpu, type Load } from './gpu.ts'
import { keyOf, Random } from './prng.ts'
import { drawPlan, meanJobGpuMs, type Plan } from './workloads.ts'

/** The share of all GPUs that jobs ask for on average. The rest, and what does not fit, is idle. */
const demand = 0.8

/** Of all ended jobs on one GPU, the share that leaves a process behind. */
const stuckShare = 0.06

/** A job that has not got its GPUs by then is withdrawn, so that a large one cannot hold up a small fleet for ever. */
const patienceMs = 3_600_000

/** How many waiting jobs are tried when GPUs fall free; the others wait behind them. */
const triedMax = 16

interface Job {
  readonly plan: Plan
  readonly gpus: readonly Gpu[]
  readonly random: Random
  readonly endMs: number
  live: boolean
}

interface Waiting {
  readonly plan: Plan
  readonly number: number
  readonly sinceMs: number
}

export class Scheduler {
  readonly #seed: number
  readonly #agenda: Agenda
  readonly #hosts: readonly (readonly Gpu[])[]
  readonly #random: Random
  readonly #jobs = new Map<Gpu, Job>()
  readonly #gapMs: number
  readonly #gpusMax: number
  #waiting: Waiting[] = []
  #numbered = 0

  /** Jobs arrive from `startMs` on. */
  constructor(seed: number, agenda: Agenda, gpus: readonly Gpu[], startMs: number) {
    this.#seed = seed
    this.#agenda = agenda
    this.#hosts = [...Map.groupBy(gpus, (gpu) => gpu.device.host).values()]
    this.#random = new Random(keyOf(seed, 'arrivals'))
    this.#gpusMax = Math.max(1, Math.floor(gpus.length / 2))
    this.#gapMs = meanJobGpuMs(this.#gpusMax) / (demand * gpus.length)
    agenda.at(startMs, (ms) => this.#arrive(ms))
  }

  /** Starts a job on these GPUs, which nobody holds, past the queue. */
  start(ms: number, plan: Plan, gpus: readonly Gpu[], number = this.#numbered++): void {
    const random = new Random(keyOf(this.#seed, 'job', number))
    const job: Job = { plan, gpus, random, endMs: ms + plan.durationMs, live: true }
    for (const gpu of gpus) this.#jobs.set(gpu, job)
    this.#enter(job, ms, plan.filling)
    this.#agenda.at(Math.min(job.endMs, ms + plan.fillMs), (at) => this.#work(job, at))
  }

  /** Ends the job that holds this GPU, if one does, on all of its GPUs. */
  kill(ms: number, gpu: Gpu): void {
    const job = this.#jobs.get(gpu)
    if (job !== undefined) this.#end(job, ms)
  }

  /** Gives waiting jobs what has fallen free. */
  place(ms: number): void {
    this.#waiting = this.#waiting.filter((waiting, index) => {
      if (ms - waiting.sinceMs > patienceMs) return false
      if (index >= triedMax) return true
      const gpus = this.#find(waiting.plan.gpus)
      if (gpus === undefined) return true
      this.start(ms, waiting.plan, gpus, waiting.number)
      return false
    })
  }

  #arrive(ms: number): void {
    const number = this.#numbered++
    const plan = drawPlan(new Random(keyOf(this.#seed, 'plan', number)), number, this.#gpusMax)
    this.#waiting.push({ plan, number, sinceMs: ms })
    this.place(ms)
    this.#agenda.at(ms + Math.ceil(this.#random.exponential(this.#gapMs)), (at) => this.#arrive(at))
  }

  #work(job: Job, ms: number): void {
    if (!job.live) return
    if (ms >= job.endMs) return this.#end(job, ms)
    this.#enter(job, ms, job.plan.work)
    const untilMs = ms + Math.round(job.random.between(...job.plan.workS) * 1000)
    this.#agenda.at(Math.min(job.endMs, untilMs), (at) => this.#pause(job, at))
  }

  #pause(job: Job, ms: number): void {
    if (!job.live) return
    if (ms >= job.endMs) return this.#end(job, ms)
    this.#enter(job, ms, job.plan.pause)
    const untilMs = ms + Math.round(job.random.between(...job.plan.pauseS) * 1000)
    this.#agenda.at(Math.min(job.endMs, untilMs), (at) => this.#work(job, at))
  }

  #enter(job: Job, ms: number, load: Load): void {
    for (const [rank, gpu] of job.gpus.entries()) {
      const owner = gpu.owner === nobody ? job.plan.ownerOf(rank) : gpu.owner
      gpu.assign(ms, owner, varied(load, gpu))
    }
  }

  #end(job: Job, ms: number): void {
    job.live = false
    for (const gpu of job.gpus) this.#jobs.delete(gpu)
    const stuck = job.gpus.length === 1 && job.random.unit() < stuckShare
    if (stuck) {
      const gpu = job.gpus[0] as Gpu
      gpu.assign(ms, gpu.owner, varied(job.plan.pause, gpu))
      const forMs = Math.round(job.random.between(15, 180) * 60_000)
      this.#agenda.at(ms + forMs, (at) => this.release(at, gpu))
    } else {
      for (const gpu of job.gpus) gpu.assign(ms, nobody)
      this.place(ms)
    }
  }

  /** Frees a GPU that no job holds: somebody has found the process that was left behind. */
  release(ms: number, gpu: Gpu): void {
    if (this.#jobs.has(gpu) || gpu.gone) return
    gpu.assign(ms, nobody)
    this.place(ms)
  }

  /** The fullest host where the job fits; for more than any host has, free hosts until there are enough. */
  #find(size: number): readonly Gpu[] | undefined {
    let best: readonly Gpu[] | undefined
    const whole: Gpu[] = []
    for (const host of this.#hosts) {
      const free = host.filter((gpu) => gpu.free)
      if (free.length === host.length && whole.length < size) whole.push(...free)
      if (free.length >= size && (best === undefined || free.length < best.length)) best = free
    }
    if (best !== undefined) return best.slice(0, size)
    return whole.length >= size ? whole.slice(0, size) : undefined
  }
}

/** No two ranks of a job hold quite the same memory. Always the same for one GPU, so that memory stays where it is. */
function varied(load: Load, gpu: Gpu): Load {
  const extraMiB = load.fillMs === 0 && load.toMiB === load.fromMiB ? (gpu.device.key % 97) * 2 : 0
  const endMiB = load.toMiB + (gpu.device.key % 97) * 2
  return { ...load, fromMiB: load.fromMiB + extraMiB, toMiB: endMiB }
}
