/** What runs between the source and the database: it is killed, started again, and weighed. */

import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** A process that can be had again as it was. */
export interface Part {
  readonly name: string
  /** Of the process that runs now. */
  readonly pid: number
  /** `kill -9`. */
  kill(): Promise<void>
  /** Resolves when it works. */
  start(): Promise<void>
}

interface Process {
  readonly pid: number
  kill(signal: NodeJS.Signals): Promise<unknown>
}

export async function startPart(name: string, launch: () => Promise<Process>): Promise<Part> {
  let running = await launch()
  return {
    name,
    get pid() {
      return running.pid
    },
    async kill() {
      await running.kill('SIGKILL')
    },
    async start() {
      running = await launch()
    },
  }
}

/** The most that the middle held at one time. */
export interface Peak {
  readonly memoryBytes: number
  readonly diskBytes: number
}

const lookMs = 500

/** Looks at the middle from now on. */
export class Scales {
  readonly #parts: readonly Part[]
  readonly #folders: readonly string[]
  readonly #timer: NodeJS.Timeout
  #looking = Promise.resolve()
  #memoryBytes = 0
  #diskBytes = 0

  constructor(parts: readonly Part[], folders: readonly string[]) {
    this.#parts = parts
    this.#folders = folders
    this.#timer = setInterval(() => (this.#looking = this.#looking.then(() => this.#look())), lookMs)
  }

  async stop(): Promise<Peak> {
    clearInterval(this.#timer)
    await this.#looking
    await this.#look()
    return { memoryBytes: this.#memoryBytes, diskBytes: this.#diskBytes }
  }

  async #look(): Promise<void> {
    const memory = await Promise.all(this.#parts.map(({ pid }) => residentBytes(pid)))
    const disk = await Promise.all(this.#folders.map(allocatedBytes))
    this.#memoryBytes = Math.max(this.#memoryBytes, sumOf(memory))
    this.#diskBytes = Math.max(this.#diskBytes, sumOf(disk))
  }
}

/** What a process has of the memory, as Linux tells it; nothing of one that has ended. */
async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return 1024 * Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0)
}

/** Blocks, not sizes: an index that was made large and is empty takes none. */
async function allocatedBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => [])
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => (await stat(join(entry.parentPath, entry.name)).catch(() => undefined))?.blocks ?? 0)
  return 512 * sumOf(await Promise.all(sizes))
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0)
}
