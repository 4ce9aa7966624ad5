/** `penstock sample`: files of a fleet that does not exist, the same bytes for the same flags. */

import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { setting, type Setting } from '#lib/settings'
import { sampleFiles, type SampleOptions } from '#streamer/fleet/sample'
import { command, type Io } from '../command.ts'
import { Progress } from '../progress.ts'
import { formatBytes, formatNumber } from '../table.ts'

const start: Setting<number> = {
  name: 'START',
  help: 'the time of the first rows',
  want: 'RFC 3339, from 1971 on, such as 2026-01-01T00:00:00Z',
  fallback: '2026-01-01T00:00:00Z',
  parse(text) {
    const ms = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/.test(text) ? Date.parse(text) : NaN
    return ms >= Date.UTC(1971) ? ms : undefined
  },
}

const settings = {
  out: setting.text('OUT', { help: 'the folder to write to; it is made', default: '.' }),
  seed: setting.integer('SEED', { help: 'another number is another fleet', default: '1', min: 0 }),
  hosts: setting.integer('HOSTS', {
    help: 'hosts; of two or more, one lacks a GPU',
    default: '31',
    min: 1,
    max: 100_000,
  }),
  gpus: setting.integer('GPUS', { help: 'GPUs a host', default: '8', min: 1, max: 16 }),
  steps: setting.integer('STEPS', { help: 'readings of each GPU and metric', default: '10', min: 1 }),
  intervalMs: setting.duration('INTERVAL', {
    help: 'from one reading to the next',
    default: '30s',
    min: '1ms',
    max: '24h',
  }),
  start,
  transfers: setting.integer('TRANSFERS', {
    help: 'transfers a minute; 0 writes no transfer log',
    default: '20',
    min: 0,
    max: 60_000,
  }),
  layout: setting.choice('LAYOUT', {
    help: 'columns: as usual, or as a renaming Prometheus and a newer exporter write them, with transfer details',
    values: ['plain', 'exported'],
    default: 'plain',
  }),
}

/** Text is gathered to this much before it is written: a write a piece would be most of the work. */
const bufferCharacters = 1 << 20

export const sample = command({
  name: 'sample',
  about: `Writes a DCGM export and a transfer log of a made-up fleet at work: jobs that start and end, heat that
follows power, memory that fills, idle and stuck GPUs, transfers that fail. The same flags give the
same bytes.
`,
  more: `  penstock sample --steps 120 --out samples
  penstock up --csv samples --once
`,
  settings,
  reads: [],
  async run(given, io) {
    const { out, seed, hosts, gpus, steps, intervalMs, start: startMs, transfers, layout } = given
    const options: SampleOptions = {
      seed,
      hosts,
      gpusPerHost: gpus,
      steps,
      startMs,
      stepMs: intervalMs,
      transfersPerMinute: transfers,
      dcgmLayout: layout,
      transferLayout: layout === 'plain' ? 'plain' : 'rich',
    }
    await mkdir(out, { recursive: true })
    return writeFiles(options, out, io)
  },
})

async function writeFiles(options: SampleOptions, out: string, io: Io): Promise<number> {
  const progress = new Progress(io.stderr)
  const files = new Map<string, SampleFile>()
  try {
    for (const { file, text, rows } of sampleFiles(options)) {
      let writer = files.get(file)
      if (writer === undefined) files.set(file, (writer = await SampleFile.create(join(out, file))))
      if (await writer.add(text, rows)) {
        if (io.signal.aborted) return 1
        const written = [...files.values()].map((each) => `${formatNumber(each.rows)} rows`)
        progress.update(`written ${written.join(' and ')}`)
      }
    }
    progress.clear()
    for (const writer of files.values()) {
      const bytes = await writer.finish()
      io.stdout.write(`${writer.path}: ${formatNumber(writer.rows)} rows, ${formatBytes(bytes)}\n`)
    }
    return 0
  } finally {
    progress.clear()
    for (const writer of files.values()) await writer.discard()
  }
}

/** A file that stands under its name only when it is whole. */
class SampleFile {
  readonly path: string
  rows = 0
  readonly #handle: FileHandle
  #pending: string[] = []
  #pendingCharacters = 0
  #bytes = 0
  #finished = false

  private constructor(path: string, handle: FileHandle) {
    this.path = path
    this.#handle = handle
  }

  static async create(path: string): Promise<SampleFile> {
    return new SampleFile(path, await open(`${path}.part`, 'w'))
  }

  /** Resolves to whether it wrote to the disk. */
  async add(text: string, rows: number): Promise<boolean> {
    this.#pending.push(text)
    this.#pendingCharacters += text.length
    this.rows += rows
    if (this.#pendingCharacters < bufferCharacters) return false
    await this.#write()
    return true
  }

  async #write(): Promise<void> {
    const bytes = Buffer.from(this.#pending.join(''))
    this.#pending = []
    this.#pendingCharacters = 0
    await this.#handle.writeFile(bytes)
    this.#bytes += bytes.length
  }

  /** Gives it its name. Returns its size in bytes. */
  async finish(): Promise<number> {
    await this.#write()
    await this.#handle.close()
    this.#finished = true
    await rename(`${this.path}.part`, this.path)
    return this.#bytes
  }

  /** Takes away what is not finished. */
  async discard(): Promise<void> {
    if (this.#finished) return
    await this.#handle.close()
    await rm(`${this.path}.part`, { force: true })
  }
}
