/** Finds the files of `CSV`, tells them apart, and reads their text in bounded pieces. */

import { hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { glob, open, readdir, stat, type FileHandle } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { Writable, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, crc32, createGunzip } from 'node:zlib'

import { headBytesMax, type Fingerprint } from './checkpoint.ts'
import type { CsvReader } from './formats/csv.ts'

/** What is wrong with a source, in one line for an operator: what, where, what would be right. */
export class SourceError extends Error {}

export interface Found {
  readonly files: readonly string[]
  /** Entries of the list that lead to no file, each with the reason. */
  readonly missing: readonly { readonly name: string; readonly reason: string }[]
}

/** The entry that is no file: standard input. */
export const inputEntry = '-'

export function isInput(entries: readonly string[]): boolean {
  return entries.length === 1 && entries[0] === inputEntry
}

/** Whether an entry can have more files later. */
const globCharacters = /[*?[\]{}]/

/**
 * Files, in the order of the list; those of a folder (`*.csv`, `*.csv.gz`, not in folders below it) and of a glob by name.
 * A name that is a file is taken as that file, whatever characters are in it.
 */
export async function findFiles(entries: readonly string[]): Promise<Found> {
  const files = new Set<string>()
  const missing: { name: string; reason: string }[] = []
  for (const entry of entries) {
    const kind = await kindOf(entry)
    if (kind === 'file') files.add(resolve(entry))
    else if (kind === 'folder') {
      const names = (await readdir(entry)).filter((name) => /\.csv(\.gz)?$/i.test(name) && !name.startsWith('.'))
      for (const name of names.sort()) if ((await kindOf(join(entry, name))) === 'file') files.add(resolve(entry, name))
    } else if (globCharacters.test(entry)) {
      const names: string[] = []
      for await (const name of glob(entry)) names.push(name)
      for (const name of names.sort()) if ((await kindOf(name)) === 'file') files.add(resolve(name))
      if (names.length === 0) missing.push({ name: entry, reason: `no file matches ${entry}` })
    } else missing.push({ name: entry, reason: kind === undefined ? `${entry} does not exist` : `${entry} is no file` })
  }
  return { files: [...files], missing }
}

/** Whether more files can appear under the entries: only then is it worth to look again. */
export async function canGrow(entries: readonly string[]): Promise<boolean> {
  for (const entry of entries) {
    const kind = await kindOf(entry)
    if (kind === 'folder' || (kind === undefined && globCharacters.test(entry))) return true
  }
  return false
}

export function isCompressed(path: string): boolean {
  return path.toLowerCase().endsWith('.gz')
}

/** An open file: what it is, and its text. */
export interface OpenFile {
  readonly path: string
  /** Its text can be had from the start only, and does not grow. */
  readonly compressed: boolean
  /** What is not sent of it is lost: nobody can read it again. */
  readonly isInput?: boolean
  readonly fingerprint: Fingerprint
  /** A hash of the first `bytes` of it. */
  headOf(bytes: number): Promise<string>
  /**
   * Reads on from `offset` of the text into the reader, at least one byte a call; false at the end.
   *
   * @throws SourceError when compressed data is cut short or damaged, after all that could be read of it
   */
  text(offset: number): Text
  close(): Promise<void>
}

export interface Text {
  readInto(reader: CsvReader): Promise<boolean>
  close(): Promise<void>
}

/** One read. Large enough that a batch fills requests, small enough to be one of several in memory. */
const readBytes = 1 << 20

/** @throws SourceError when it cannot be read or is empty */
export async function openFile(path: string): Promise<OpenFile> {
  let handle: FileHandle
  try {
    handle = await open(path)
  } catch (error) {
    throw new SourceError(reasonOf(path, error))
  }
  const { size, mtimeMs } = await handle.stat()
  if (size === 0) {
    await handle.close()
    throw new SourceError(`${path} is empty: want CSV with a header line`)
  }
  const headOf = async (bytes: number): Promise<string> => {
    const head = Buffer.alloc(bytes)
    const { bytesRead } = await handle.read(head, 0, bytes, 0)
    return hash('sha256', head.subarray(0, bytesRead), 'hex').slice(0, 32)
  }
  const headBytes = Math.min(size, headBytesMax)
  const compressed = isCompressed(path)
  return {
    path,
    compressed,
    fingerprint: { size, mtimeMs, head: await headOf(headBytes), headBytes },
    headOf,
    text: (offset) => (compressed ? unzipped(path) : plain(handle, offset)),
    close: () => handle.close(),
  }
}

function plain(handle: FileHandle, offset: number): Text {
  let position = offset
  return {
    async readInto(reader) {
      const { bytesRead } = await handle.read(reader.space(readBytes), 0, readBytes, position)
      reader.filled(bytesRead)
      position += bytesRead
      return bytesRead > 0
    },
    close: () => Promise.resolve(),
  }
}

/**
 * The text of a gzip file, from its start. zlib is told to give out what it can, because by itself it drops what it has
 * when the data ends too early; that it did is told by the trailer, and for files of several members by a second look.
 */
function unzipped(path: string): Text {
  const source = createReadStream(path, { highWaterMark: 256 * 1024 })
  const unzip = createGunzip({ chunkSize: 256 * 1024, finishFlush: constants.Z_SYNC_FLUSH })
  source.on('error', (error) => unzip.destroy(error))
  source.pipe(unzip)
  const chunks = unzip[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>
  let sum = 0
  let bytes = 0
  return {
    async readInto(reader) {
      let next: IteratorResult<Buffer, undefined>
      try {
        next = await chunks.next()
      } catch (error) {
        throw new SourceError(`${path} is damaged behind byte ${bytes} of its text (${messageOf(error)})`)
      }
      if (next.done === true) {
        await checkTrailer(path, sum, bytes)
        return false
      }
      sum = crc32(next.value, sum)
      bytes += next.value.length
      reader.push(next.value)
      return true
    },
    async close() {
      source.destroy()
      unzip.destroy()
    },
  }
}

async function checkTrailer(path: string, sum: number, bytes: number): Promise<void> {
  const handle = await open(path)
  try {
    const { size } = await handle.stat()
    const trailer = Buffer.alloc(8)
    await handle.read(trailer, 0, 8, Math.max(0, size - 8))
    if (size >= 18 && trailer.readUInt32LE(0) === sum && trailer.readUInt32LE(4) === bytes % 2 ** 32) return
  } finally {
    await handle.close()
  }
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  try {
    await pipeline(createReadStream(path), createGunzip(), nowhere)
  } catch (error) {
    throw new SourceError(
      `${path} is not a whole gzip file, it ends behind byte ${bytes} of its text (${messageOf(error)}): copy it again`,
    )
  }
}

/** Standard input as a file: read once, as it comes. When the signal aborts, what has come is still given out, and no more. */
export function inputFile(input: Readable, signal: AbortSignal): OpenFile {
  const close = (): Promise<void> => {
    input.destroy()
    return Promise.resolve()
  }
  return {
    path: 'standard input',
    compressed: true,
    isInput: true,
    fingerprint: { size: 0, mtimeMs: 0, head: '', headBytes: 0 },
    headOf: () => Promise.resolve(''),
    text: () => piped(input, signal),
    close,
  }
}

function piped(input: Readable, signal: AbortSignal): Text {
  let failure: Error | undefined
  let isOver = false
  input.on('error', (error) => (failure = error)).on('close', () => (isOver = true))
  return {
    async readInto(reader) {
      for (;;) {
        if (isOver) return false
        // A fast writer has more at once whenever something is taken, and must not hold up a stop.
        isOver = signal.aborted
        const bytes = input.read() as Buffer | null
        if (bytes !== null) {
          reader.push(bytes)
          return true
        }
        if (failure !== undefined) throw new SourceError(`standard input cannot be read: ${failure.message}`)
        if (isOver || input.readableEnded) return false
        await moved(input, signal)
      }
    },
    close: () => Promise.resolve(),
  }
}

/** Waits until there may be something to read, or nothing will come. */
function moved(input: Readable, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      for (const name of ['readable', 'end', 'error', 'close']) input.off(name, done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    for (const name of ['readable', 'end', 'error', 'close']) input.on(name, done)
    signal.addEventListener('abort', done)
    if (signal.aborted) done()
  })
}

async function kindOf(path: string): Promise<'file' | 'folder' | 'other' | undefined> {
  try {
    const found = await stat(path)
    return found.isFile() ? 'file' : found.isDirectory() ? 'folder' : 'other'
  } catch {
    return undefined
  }
}

function reasonOf(path: string, error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return `${path} does not exist`
  if (code === 'EACCES') return `${path} may not be read by this user`
  return `${path} cannot be read: ${messageOf(error)}`
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** A short name for people: the file's own. */
export function sourceName(path: string): string {
  return path === inputEntry ? 'standard input' : basename(path)
}
