/**
 * A fleet of GPUs at work and the data that moves between its sites: the same for the same options, at any speed.
 *
 * The door of this folder: `step` gives typed records (the demo source), `sample` gives bare numbers (the writers).
 */

import type { GpuRecord, TransferRecord } from '#telemetry/record'
import { Agenda } from './agenda.ts'
import { plagueWithFaults } from './faults.ts'
import { Gpu, type Load, type Owner, type Reading } from './gpu.ts'
import { driverVersion, framebufferMiB, makeInventory, modelName, type Device } from './inventory.ts'
import { readersOf, sampleMetrics, xidTotal } from './metrics.ts'
import { hash, hashAt, keyOf, Random } from './prng.ts'
import { Scheduler } from './scheduler.ts'
import { formatTime } from './time.ts'
import { recordOf, Transfers, type Attempt } from './transfers.ts'
import { heavyPlan } from './workloads.ts'

export interface FleetOptions {
  /** Any safe integer. */
  readonly seed: number
  /** 1 to 100,000. With two hosts or more one of them lacks a GPU. */
  readonly hosts: number
  /** 1 to 16. */
  readonly gpusPerHost: number
  /** The first moment, in ms since 1970. The fleet is at work by then. */
  readonly startMs: number
  /** From one moment to the next, at least 1. */
  readonly stepMs: number
  /** DCGM field names, of `fleetMetrics` (metrics.ts), in the order in which they are given; without it `sampleMetrics`. */
  readonly metrics?: readonly string[]
  /** On average; 20 unless told, 0 for none. */
  readonly transfersPerMinute?: number
}

/** What all sources of the fleet show at one moment. */
export interface Moment {
  readonly timeMs: number
  readonly gpu: readonly GpuRecord[]
  /** Attempts that ended since the moment before. */
  readonly transfers: readonly TransferRecord[]
}

/** A moment in bare numbers, valid until the next `sample`. */
export interface Sample {
  readonly timeMs: number
  /** Metric by metric, in each of them GPU by GPU: `values[metric * gpus.length + gpu]`. NaN: not reported. */
  readonly values: Float64Array
  /** The error counters, which exist from the first error on; empty unless their metric is asked for. */
  readonly xids: readonly { readonly gpu: Gpu; readonly xid: number; readonly total: number }[]
  readonly transfers: readonly Attempt[]
}

/** How long the fleet has worked before its first moment. */
const warmUpMs = 4 * 3_600_000

/** Of all readings of a GPU, one in this many lacks one metric. */
const blankEvery = 400

export class Fleet {
  /** The GPUs of the inventory, host by host. Those that are `gone` at a moment have no values in it. */
  readonly gpus: readonly Gpu[]
  /** The metrics of {@link Sample.values}, in order. */
  readonly metrics: readonly string[]

  readonly #options: FleetOptions
  readonly #agenda = new Agenda()
  readonly #transfers: Transfers
  readonly #readers: ReturnType<typeof readersOf>['readers']
  readonly #values: Float64Array
  readonly #withXids: boolean
  readonly #reading = {} as Reading
  readonly #labels = new Map<Gpu, { readonly owner: Owner; readonly labels: Readonly<Record<string, string>> }>()
  #nextMs: number

  /** Throws a RangeError for an option out of range or an unknown metric. */
  constructor(options: FleetOptions) {
    const { seed, hosts, gpusPerHost, startMs, stepMs } = options
    wantInteger('seed', seed, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
    wantInteger('hosts', hosts, 1, 100_000)
    wantInteger('gpusPerHost', gpusPerHost, 1, 16)
    wantInteger('startMs', startMs, warmUpMs, 253_402_300_799_999)
    wantInteger('stepMs', stepMs, 1, 86_400_000)
    const transfersPerMinute = options.transfersPerMinute ?? 20
    if (!(transfersPerMinute >= 0 && transfersPerMinute <= 60_000)) {
      throw new RangeError(`transfersPerMinute=${transfersPerMinute}: want a number from 0 to 60000`)
    }
    const selected = options.metrics ?? sampleMetrics
    const { names, readers } = readersOf(selected)
    this.#options = options
    this.metrics = names
    this.#readers = readers
    this.#withXids = selected.includes(xidTotal)
    this.#nextMs = startMs
    const fromMs = startMs - warmUpMs
    const { devices, cast } = makeInventory(seed, hosts, gpusPerHost)
    this.gpus = devices.map((device) => new Gpu(device, fromMs))
    this.#values = new Float64Array(names.length * devices.length)
    const scheduler = new Scheduler(seed, this.#agenda, this.gpus, fromMs)
    const gpuOf = (index: number | undefined): Gpu | undefined => (index === undefined ? undefined : this.gpus[index])
    plagueWithFaults(seed, this.#agenda, scheduler, this.gpus, gpuOf(cast.flaky), startMs)
    this.#castHot(gpuOf(cast.hot), scheduler)
    this.#castStuck(gpuOf(cast.stuck), scheduler)
    this.#castIdle(gpuOf(cast.idle), scheduler)
    this.#transfers = new Transfers(seed, this.#agenda, fromMs, startMs, transfersPerMinute)
    this.seek(startMs)
  }

  /** The time of the next moment. */
  get nextTimeMs(): number {
    return this.#nextMs
  }

  /**
   * Winds forward to the first moment at or after `ms`: what follows is what would have followed without. Costs the events
   * in between, not the moments (README.md has the figures). Throws a RangeError for a time before the next moment's.
   */
  seek(ms: number): void {
    const { startMs, stepMs } = this.#options
    if (ms < this.#nextMs)
      throw new RangeError(`seek to ${formatTime(ms)}: the fleet is at ${formatTime(this.#nextMs)} already`)
    this.#nextMs = startMs + Math.ceil((ms - startMs) / stepMs) * stepMs
    // What ends after the moment before the next one belongs to the next one.
    this.#transfers.kept = false
    this.#agenda.run(this.#nextMs - stepMs)
    this.#transfers.kept = true
  }

  /** The next moment, as records. */
  step(): Moment {
    const sample = this.sample()
    const time = formatTime(sample.timeMs)
    const gpu: GpuRecord[] = []
    for (const [m, metric] of this.metrics.entries()) {
      const base = m * this.gpus.length
      for (const [g, each] of this.gpus.entries()) {
        if (each.gone) continue
        const value = sample.values[base + g] as number
        gpu.push(this.#gpuRecord(each, time, metric, Number.isNaN(value) ? null : value))
      }
    }
    for (const { gpu: each, xid, total } of sample.xids) {
      const record = this.#gpuRecord(each, time, xidTotal, total)
      gpu.push({ ...record, labels: { ...record.labels, xid: String(xid) } })
    }
    return { timeMs: sample.timeMs, gpu, transfers: sample.transfers.map(recordOf) }
  }

  /** The next moment, as numbers. */
  sample(): Sample {
    const ms = this.#nextMs
    this.#nextMs += this.#options.stepMs
    this.#agenda.run(ms)
    const { gpus } = this
    const [readers, values, reading] = [this.#readers, this.#values, this.#reading]
    const xids: { gpu: Gpu; xid: number; total: number }[] = []
    for (const [g, gpu] of gpus.entries()) {
      if (gpu.gone) continue
      gpu.read(ms, reading)
      for (let m = 0; m < readers.length; m++) {
        values[m * gpus.length + g] = (readers[m] as (typeof readers)[number])(reading, gpu)
      }
      const chance = hashAt(gpu.device.key ^ 0x51ed270b, ms)
      if (chance % blankEvery === 0) values[(hash(chance, 1) % readers.length) * gpus.length + g] = NaN
      if (this.#withXids) for (const [xid, total] of gpu.xids) xids.push({ gpu, xid, total })
    }
    return { timeMs: ms, values, xids, transfers: this.#transfers.ended.splice(0) }
  }

  #gpuRecord(gpu: Gpu, time: string, metric: string, value: number | null): GpuRecord {
    const { device, owner } = gpu
    return {
      kind: 'gpu',
      time,
      device_id: `nvidia${device.slot}`,
      metric,
      value,
      gpu_id: String(device.slot),
      uuid: device.uuid,
      model_name: modelName,
      hostname: device.hostname,
      container: owner.container,
      pod: owner.pod,
      namespace: owner.namespace,
      labels: this.#labelsOf(gpu),
    }
  }

  /** One object for all records of a GPU, as long as its owner stays. */
  #labelsOf(gpu: Gpu): Readonly<Record<string, string>> {
    const known = this.#labels.get(gpu)
    if (known?.owner === gpu.owner) return known.labels
    const labels = labelsFor(gpu.device, gpu.owner)
    this.#labels.set(gpu, { owner: gpu.owner, labels })
    return labels
  }

  /** Heavy work, from a minute and a half after the start on. */
  #castHot(gpu: Gpu | undefined, scheduler: Scheduler): void {
    if (gpu === undefined) return
    gpu.reserved = true
    this.#agenda.at(this.#options.startMs + 90_000, (ms) => {
      gpu.reserved = false
      const random = new Random(keyOf(this.#options.seed, 'hot'))
      if (!gpu.gone) scheduler.start(ms, heavyPlan(random, 0, 3_600_000), [gpu])
    })
  }

  /** A process from before the start that holds its memory and does nothing, for two hours. */
  #castStuck(gpu: Gpu | undefined, scheduler: Scheduler): void {
    if (gpu === undefined) return
    const heldMiB = Math.round(framebufferMiB * (0.6 + (gpu.device.key % 30) / 100))
    const load: Load = {
      util: 0,
      swing: 0,
      copy: 0,
      intensity: 0,
      fromMiB: heldMiB,
      toMiB: heldMiB,
      fillMs: 0,
      receiveBps: 0,
      sendBps: 0,
    }
    const owner = { container: 'notebook', pod: 'lost-notebook-0', namespace: 'vision', hpcJob: '' }
    this.#occupy(gpu, scheduler, () => gpu.assign(this.#options.startMs - warmUpMs, owner, load))
  }

  #castIdle(gpu: Gpu | undefined, scheduler: Scheduler): void {
    if (gpu !== undefined) this.#occupy(gpu, scheduler, () => {})
  }

  #occupy(gpu: Gpu, scheduler: Scheduler, how: () => void): void {
    gpu.reserved = true
    how()
    this.#agenda.at(this.#options.startMs + 2 * 3_600_000, (ms) => {
      gpu.reserved = false
      scheduler.release(ms, gpu)
    })
  }
}

/** The labels of a GPU's series that are no fields of their own, as the streamer has them from a row's `labels_raw`. */
function labelsFor(device: Device, owner: Owner): Readonly<Record<string, string>> {
  return {
    driver_version: driverVersion,
    instance: `${device.hostname}:9400`,
    job: 'dcgm_exporter',
    ...(owner.hpcJob === '' ? undefined : { hpc_job: owner.hpcJob }),
  }
}

function wantInteger(name: string, value: number, low: number, high: number): void {
  if (!Number.isSafeInteger(value) || value < low || value > high) {
    throw new RangeError(`${name}=${value}: want a whole number from ${low} to ${high}`)
  }
}
