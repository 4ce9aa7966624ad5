/** Where checkpoints are kept: a small database (`level`) in the data folder, which one process at a time may open. */

import { mkdir } from 'node:fs/promises'
import { Level } from 'level'
import { parseCheckpoint, type FileCheckpoint } from './checkpoint.ts'

/** `written` survives the process, `synced` the machine. */
export type Durability = 'written' | 'synced'

export interface CheckpointStore {
  get(path: string): Promise<FileCheckpoint | undefined>
  put(path: string, checkpoint: FileCheckpoint, durability: Durability): Promise<void>
  periodMs(): Promise<number | undefined>
  putPeriodMs(periodMs: number): Promise<void>
  /** State of a source that is no file, as it gave it. */
  getState(name: string): Promise<unknown>
  putState(name: string, state: unknown, durability: Durability): Promise<void>
  close(): Promise<void>
}

/** @throws Error with a line for the operator when another process has it open, or the folder cannot be written */
export async function openCheckpoints(folder: string): Promise<CheckpointStore> {
  await mkdir(folder, { recursive: true })
  const db = new Level(folder)
  try {
    await db.open()
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : (error as Error)
    if ((cause as { code?: string }).code === 'LEVEL_LOCKED') {
      throw new Error(`${folder} is in use by another streamer: stop it, or set DATA_DIR to another folder`, {
        cause: error,
      })
    }
    throw new Error(`${folder} cannot be opened: ${cause.message}`, { cause: error })
  }
  const put = (key: string, value: unknown, durability: Durability): Promise<void> =>
    db.put(key, JSON.stringify(value), { sync: durability === 'synced' })
  return {
    get: async (path) => parseCheckpoint(path, await db.get(`file:${path}`)),
    put: (path, checkpoint, durability) => put(`file:${path}`, checkpoint, durability),
    periodMs: async () => {
      const text = await db.get('loop:period-ms')
      return text === undefined ? undefined : Number(text)
    },
    putPeriodMs: (periodMs) => put('loop:period-ms', periodMs, 'synced'),
    getState: async (name) => {
      const text = await db.get(`state:${name}`)
      return text === undefined ? undefined : (JSON.parse(text) as unknown)
    },
    putState: (name, state, durability) => put(`state:${name}`, state, durability),
    close: () => db.close(),
  }
}

/** Keeps nothing: for what cannot be read again. */
export const nothingKept: CheckpointStore = {
  get: () => Promise.resolve(undefined),
  put: () => Promise.resolve(),
  periodMs: () => Promise.resolve(undefined),
  putPeriodMs: () => Promise.resolve(),
  getState: () => Promise.resolve(undefined),
  putState: () => Promise.resolve(),
  close: () => Promise.resolve(),
}
