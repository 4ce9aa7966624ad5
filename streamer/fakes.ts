/** For the tests of the streamer: a broker in memory, a streamer that is killed, and files to read. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Batch, DeadRow } from './batch.ts'
import { openCheckpoints, type CheckpointStore } from './checkpoint-store.ts'
import type { KeyedRecord } from './formats/format.ts'
import type { OpenLane } from './lane.ts'
import { Pace, type Replay } from './pace.ts'
import { Streamer } from './streamer.ts'

/**
 * A broker that counts as the real one does: numbers below what it expects are known, a gap is a fault of the streamer. It
 * lives on when a streamer is killed.
 */
export class FakeBroker {
  readonly topics = new Map<string, string[]>()
  readonly dead: { readonly file: string; readonly line: number; readonly reason: string; readonly row: string }[] = []
  repeats = 0
  private readonly expected = new Map<string, number>()

  readonly openLane: OpenLane = async (topic, producer, numbers) => {
    const sequences: Record<number, number> = { ...numbers.sequences }
    let deadSequence = numbers.deadSequence
    return {
      send: async (records: readonly KeyedRecord[]) => {
        for (const { data, key } of records) {
          const partition = key.length % 3
          const sequence = sequences[partition] ?? 0
          sequences[partition] = sequence + 1
          if (this.isNew(`${producer}/${topic}/${partition}`, sequence)) this.topic(topic).push(data)
        }
        await nextTurn()
      },
      bury: async (rows: readonly DeadRow[], file: string) => {
        for (const row of rows) {
          if (this.isNew(`${producer}/dead`, deadSequence++)) this.dead.push({ ...row, file: basename(file) })
        }
        await nextTurn()
      },
      get numbers() {
        return { sequences: { ...sequences }, deadSequence }
      },
      bufferedBytes: 0,
      close: () => Promise.resolve(),
    }
  }

  topic(name: string): string[] {
    const known = this.topics.get(name)
    if (known !== undefined) return known
    const records: string[] = []
    this.topics.set(name, records)
    return records
  }

  private isNew(stream: string, sequence: number): boolean {
    const expected = this.expected.get(stream) ?? 0
    assert.ok(sequence <= expected, `${stream}: record ${sequence} came where ${expected} is expected`)
    if (sequence < expected) {
      this.repeats++
      return false
    }
    this.expected.set(stream, expected + 1)
    return true
  }
}

interface Scope {
  teardown(callback: () => unknown): void
}

interface RunOptions {
  readonly entries: readonly string[]
  readonly broker: FakeBroker
  readonly checkpoints: CheckpointStore
  readonly loop?: boolean
  readonly replay?: Replay
  /** Times are shifted, so that the first is now. */
  readonly isNow?: boolean
  /** Moves on by what is waited for. */
  readonly clock?: { ms: number }
  readonly onBatch?: (batch: Pick<Batch, 'records'>) => void
  /** Kills the streamer when so many checkpoints are written: more is sent by then. */
  readonly killAt?: number
  readonly stopWhen?: (streamer: Streamer) => boolean
}

/** Runs a streamer until it has nothing to do, is stopped, or is killed: then it writes nothing more. */
export async function stream(options: RunOptions): Promise<{ readonly streamer: Streamer; readonly errors: string[] }> {
  const { entries, broker, checkpoints, loop = false, killAt = Infinity, stopWhen, clock = { ms: 0 } } = options
  const stop = new AbortController()
  const errors: string[] = []
  const killed = new Error('killed')
  let written = 0
  const look = (): void => {
    if (stopWhen?.(streamer) === true) stop.abort()
  }
  const streamer = new Streamer({
    entries,
    loop,
    rescanMs: 1,
    host: 'h0',
    topics: { dcgm: 'telemetry', 'nvidia-smi': 'telemetry', transfers: 'transfers' },
    openLane: broker.openLane,
    checkpoints: {
      ...checkpoints,
      put: (...given) => (written++ < killAt ? checkpoints.put(...given) : Promise.reject(killed)),
    },
    // Small slices, so that a small file is many batches.
    pace: new Pace(killAt === Infinity ? Infinity : 1000, 0),
    replay: options.replay,
    wallMs: options.isNow === true ? () => clock.ms : undefined,
    nowMs: () => clock.ms,
    wait: async (ms) => {
      if (options.clock !== undefined) clock.ms += ms
      look()
      await nextTurn()
    },
    newProducer: () => randomBytes(8).toString('hex'),
    onBatch(batch) {
      options.onBatch?.(batch)
      look()
    },
    onError: (message) => errors.push(message),
    onDone: () => {},
  })
  await streamer.run(stop.signal).catch((error: unknown) => {
    if (error !== killed) throw error
  })
  return { streamer, errors }
}

export async function scene(t: Scope): Promise<{ folder: string; broker: FakeBroker; checkpoints: CheckpointStore }> {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-streamer-'))
  const checkpoints = await openCheckpoints(join(folder, 'checkpoints'))
  t.teardown(async () => {
    await checkpoints.close()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  return { folder, broker: new FakeBroker(), checkpoints }
}

export const header = 'timestamp,metric_name,uuid,value,labels_raw\n'

function time(at: number): string {
  return new Date(Date.UTC(2025, 6, 18) + at * 1000).toISOString()
}

/** Rows of which each `badEvery`th is bad; the value is the row's number. */
export function rows(count: number, from = 0, badEvery = 7): string {
  const labels = '"a=""b, c"""'
  let text = ''
  for (let at = from; at < from + count; at++) {
    const value = at % badEvery === 3 ? 'bad' : String(at)
    text += `"${time(at)}","M","GPU-${'x'.repeat(at % 5)}",${value},${labels}\n`
  }
  return text
}

export function values(broker: FakeBroker, topic = 'telemetry'): number[] {
  return broker.topic(topic).map((data) => (JSON.parse(data) as { value: number }).value)
}

export function goodOf(count: number, from = 0, badEvery = 7): number[] {
  return Array.from({ length: count }, (_, at) => at + from).filter((at) => at % badEvery !== 3)
}
