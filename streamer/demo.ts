/**
 * The demo source: a modelled fleet, moment by moment, at the pace of the wall clock. It begins some time back, so that there
 * is something to see at once, and goes on after a restart where it was, with the same fleet.
 */

import { partitionKeyOf } from '#telemetry/identity'
import type { TelemetryRecord } from '#telemetry/record'
import type { Tracer } from '#lib/tracing'
import type { Batch } from './batch.ts'
import type { KeyedRecord } from './formats/format.ts'
import type { CheckpointStore } from './checkpoint-store.ts'
import { Fleet } from './fleet/fleet.ts'
import type { Lane, LaneNumbers, OpenLane } from './lane.ts'
import { Settling } from './settling.ts'
import type { SourceStatus } from '#wire/status'
import { beginBatch } from './traces.ts'

const gpusPerHost = 8

/** So long the fleet has been at work when its history begins: jobs come one by one, and an empty fleet is a dull picture. */
const warmUpMs = 24 * 3_600_000

export interface DemoModel {
  readonly seed: number
  readonly hosts: number
  readonly stepMs: number
}

export interface DemoOptions {
  readonly model: DemoModel
  readonly historyMs: number
  readonly topics: { readonly dcgm: string; readonly transfers: string }
  readonly openLane: OpenLane
  readonly checkpoints: CheckpointStore
  readonly nowMs: () => number
  readonly wait: (ms: number) => Promise<void>
  readonly newProducer: () => string
  readonly onBatch: (batch: Pick<Batch, 'records' | 'dead'>, topic: string) => void
  readonly tracer?: Tracer | undefined
}

/** What is kept of it. */
interface DemoState {
  readonly version: 1
  readonly model: DemoModel
  readonly producer: string
  readonly startMs: number
  readonly nextMs: number
  readonly rows: number
  readonly gpu: LaneNumbers
  readonly transfers: LaneNumbers
}

const noNumbers: LaneNumbers = { sequences: {}, deadSequence: 0 }

export class Demo {
  private readonly options: DemoOptions
  private rows = 0

  constructor(options: DemoOptions) {
    this.options = options
  }

  /** It has no end, so it is never done. */
  get status(): SourceStatus {
    return { name: 'demo', path: '', format: 'demo', bytes: 0, size: 0, rows: this.rows, dead: 0, done: false }
  }

  /** Streams until the signal aborts, and returns when everything is acknowledged. */
  async run(signal: AbortSignal): Promise<void> {
    const { model, topics, openLane, checkpoints, nowMs, wait, historyMs, onBatch, tracer } = this.options
    let state = await this.begin()
    this.rows = state.rows
    const fleet = new Fleet({ ...model, gpusPerHost, startMs: state.startMs })
    fleet.seek(Math.max(state.nextMs, state.startMs, nowMs() - historyMs))
    const gpuLane = await openLane(topics.dcgm, state.producer, state.gpu, signal)
    const transferLane = await openLane(topics.transfers, state.producer, state.transfers, signal)
    const settling = new Settling<DemoState>(async (settled) => {
      await checkpoints.putState('demo', settled, 'written')
      this.rows = settled.rows
    })
    try {
      while (!signal.aborted) {
        const waitMs = fleet.nextTimeMs - nowMs()
        if (waitMs > 0) {
          await wait(waitMs)
          continue
        }
        const trace = beginBatch(tracer)
        const moment = fleet.step()
        const gpu = moment.gpu.map(keyed)
        const transfers = moment.transfers.map(keyed)
        const done = Promise.all([
          gpuLane.send(gpu, trace?.produce()),
          transfers.length > 0 ? transferLane.send(transfers) : undefined,
        ])
        trace?.endWith(done, { records: gpu, dead: [] }, topics.dcgm)
        onBatch({ records: gpu, dead: [] }, topics.dcgm)
        onBatch({ records: transfers, dead: [] }, topics.transfers)
        state = movedOn(state, fleet.nextTimeMs, gpu.length + transfers.length, gpuLane, transferLane)
        await settling.add(done, state)
      }
    } finally {
      await settling.flush()
      await Promise.all([gpuLane.close(), transferLane.close()])
    }
  }

  /** The kept state; a new one when there is none, or when it is of another fleet. */
  private async begin(): Promise<DemoState> {
    const { model, historyMs, checkpoints, nowMs, newProducer } = this.options
    const kept = (await checkpoints.getState('demo')) as DemoState | undefined
    if (kept?.version === 1 && JSON.stringify(kept.model) === JSON.stringify(model)) return kept
    const beginMs = Math.floor((nowMs() - historyMs) / model.stepMs) * model.stepMs
    const state: DemoState = {
      version: 1,
      model,
      producer: newProducer(),
      startMs: beginMs - warmUpMs,
      nextMs: beginMs,
      rows: 0,
      gpu: noNumbers,
      transfers: noNumbers,
    }
    await checkpoints.putState('demo', state, 'synced')
    return state
  }
}

function movedOn(state: DemoState, nextMs: number, rows: number, gpu: Lane, transfers: Lane): DemoState {
  return { ...state, nextMs, rows: state.rows + rows, gpu: gpu.numbers, transfers: transfers.numbers }
}

function keyed(record: TelemetryRecord): KeyedRecord {
  return { data: JSON.stringify(record), key: partitionKeyOf(record) }
}
