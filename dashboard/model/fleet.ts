/**
 * The fleet as the page knows it: the list of the API at first and now and then, the records of the live stream in
 * between. Memory is bounded by the number of GPUs; taking a record costs the same with one GPU and with thousands.
 */

import type { Gpu, GpuList, StreamRecord } from '#api/contract'
import { History, usualInterval } from './history.ts'
import { type Focus, memoryShare, metricNames, quantities, type Quantity, quantityOf } from './metrics.ts'

export interface Reading {
  readonly timeMs: number
  /** `null`: not reported. */
  readonly value: number | null
}

export interface GpuState {
  /** What the API calls it. */
  readonly id: string
  readonly uuid: string
  /** The MIG instance; empty for a whole GPU. */
  readonly slice: string
  hostname: string
  /** Its index on the host, as the source says it. */
  index: string
  model: string
  namespace: string
  pod: string
  lastSeenMs: number
  /** How far apart its values come; `undefined` until that is known. */
  intervalMs: number | undefined
  readonly readings: Partial<Record<Quantity, Reading>>
  readonly history: Partial<Record<Focus, History>>
  /** Times of the newest utilisation values, or of whatever it has. */
  readonly beats: number[]
}

type GpuRecord = Extract<StreamRecord, { kind: 'gpu' }>

/** A value this old is stale, however often the source reports. */
const staleAfterMsMin = 90_000
const staleIntervals = 3

/** As many as a median needs to shrug off one late record. */
const beatsMax = 7

/** Records of GPUs that the list never had are taken up to here: a stream must not be able to fill the memory. */
const gpusMax = 20_000

export class FleetModel {
  readonly #gpus = new Map<string, GpuState>()
  /** Counts changes: whoever draws compares it. */
  version = 0
  /** Counts changes of which GPUs there are. */
  members = 0

  get size(): number {
    return this.#gpus.size
  }

  gpu(id: string): GpuState | undefined {
    return this.#gpus.get(id)
  }

  /** By host and index. */
  all(): GpuState[] {
    return [...this.#gpus.values()]
  }

  /** Takes the whole list: what it does not have is gone. */
  replace({ gpus }: GpuList): void {
    const ids = new Set(gpus.map(({ id }) => id))
    for (const id of this.#gpus.keys()) if (!ids.has(id)) this.#gpus.delete(id)
    for (const gpu of gpus) this.#takeListed(gpu)
    // In the order of the list, those too that came by the stream first.
    for (const { id } of gpus) {
      const state = this.#gpus.get(id) as GpuState
      this.#gpus.delete(id)
      this.#gpus.set(id, state)
    }
    this.version++
    this.members++
  }

  /** Takes records of the live stream; what is older than what it has changes nothing. */
  take(records: readonly StreamRecord[]): void {
    for (const record of records) if (record.kind === 'gpu') this.#takeRecord(record)
    this.version++
  }

  #takeListed(gpu: Gpu): void {
    const state = this.#gpus.get(gpu.id) ?? this.#add(gpu.id, gpu)
    name(state, gpu)
    for (const quantity of quantities) {
      const reading = gpu.values[metricNames[quantity]]
      if (reading !== undefined) read(state, quantity, Date.parse(reading.time), reading.value)
    }
    state.lastSeenMs = Math.max(state.lastSeenMs, Date.parse(gpu.last_seen))
  }

  #takeRecord(record: GpuRecord): void {
    const quantity = quantityOf(record.metric)
    const timeMs = Date.parse(record.time)
    if (quantity === undefined || Number.isNaN(timeMs)) return
    const slice = record.gpu_i_id ?? ''
    const id = slice === '' ? record.uuid : `${record.uuid}:${slice}`
    let state = this.#gpus.get(id)
    if (state === undefined) {
      if (this.#gpus.size >= gpusMax) return
      state = this.#add(id, { ...record, gpu_i_id: slice })
      this.members++
    }
    if (timeMs >= state.lastSeenMs) name(state, record)
    read(state, quantity, timeMs, record.value)
  }

  #add(id: string, gpu: Pick<Gpu, 'uuid' | 'gpu_i_id'> & Named): GpuState {
    const state: GpuState = {
      id,
      uuid: gpu.uuid,
      slice: gpu.gpu_i_id,
      hostname: gpu.hostname,
      index: gpu.gpu_id,
      model: gpu.model_name,
      namespace: gpu.namespace,
      pod: gpu.pod,
      lastSeenMs: -Infinity,
      intervalMs: undefined,
      readings: {},
      history: {},
      beats: [],
    }
    this.#gpus.set(id, state)
    return state
  }
}

type Named = Pick<Gpu, 'hostname' | 'gpu_id' | 'model_name' | 'namespace' | 'pod'>

function name(state: GpuState, { hostname, gpu_id, model_name, namespace, pod }: Named): void {
  Object.assign(state, { hostname, index: gpu_id, model: model_name, namespace, pod })
}

function read(state: GpuState, quantity: Quantity, timeMs: number, value: number | null): void {
  const before = state.readings[quantity]
  if (before !== undefined && timeMs < before.timeMs) return
  state.readings[quantity] = { timeMs, value }
  state.lastSeenMs = Math.max(state.lastSeenMs, timeMs)
  if (timeMs > (state.beats.at(-1) ?? -Infinity) && quantity === beatQuantity(state)) {
    state.beats.push(timeMs)
    if (state.beats.length > beatsMax) state.beats.shift()
    state.intervalMs = usualInterval(state.beats) ?? state.intervalMs
  }
  if (quantity === 'used' || quantity === 'free') {
    const share = memoryShare(valueOf(state, 'used'), valueOf(state, 'free'))
    // Both of one moment: a new `used` with an old `free` would be a sum that never was.
    if (state.readings.used?.timeMs === state.readings.free?.timeMs) remember(state, 'memory', timeMs, share)
  } else remember(state, quantity, timeMs, value)
}

/** The first quantity that the GPU has: metrics of one sample may have times of their own, so only one is listened to. */
function beatQuantity(state: GpuState): Quantity | undefined {
  return quantities.find((quantity) => state.readings[quantity] !== undefined)
}

function remember(state: GpuState, focus: Focus, timeMs: number, value: number | null): void {
  const history = (state.history[focus] ??= new History())
  history.push(timeMs, value)
}

/** `null`: not reported, or no such metric. */
export function valueOf(gpu: GpuState, quantity: Quantity): number | null {
  return gpu.readings[quantity]?.value ?? null
}

/** @returns in the unit of the focus, memory in percent; `null`: not reported */
export function focusValue(gpu: GpuState, focus: Focus): number | null {
  return focus === 'memory' ? memoryShare(valueOf(gpu, 'used'), valueOf(gpu, 'free')) : valueOf(gpu, focus)
}

/** Whether what it says may no longer be so. */
export function isStale(gpu: GpuState, nowMs: number): boolean {
  return nowMs - gpu.lastSeenMs > Math.max(staleAfterMsMin, staleIntervals * (gpu.intervalMs ?? 0))
}

/** `mtv5-dgx1-hgpu-031:5`, with its slice where it is one; what the source did not name is told by the uuid. */
export function labelOf({ hostname, index, slice, uuid }: GpuState): string {
  const place = hostname === '' ? uuid : `${hostname}:${index === '' ? uuid : index}`
  return slice === '' ? place : `${place}/${slice}`
}
