/** Finds the files of `CSV`, tells them apart, and reads their text in bounded pieces. */

import { hash } from 'node:crypto'
import { glob, open, readdir, stat, type FileHandle } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'

import { headBytesMax } from './checkpoint.ts'
import { inputEntry } from './input.ts'
import { messageOf, SourceError, type OpenFile, type Text } from './source.ts'
import { unpackerOf } from './unpack.ts'

export interface Found {
  readonly files: readonly string[]
  /** Entries of the list that lead to no file, each with the reason. */
  readonly missing: readonly { readonly name: string; readonly reason: string }[]
}

/** Whether an entry can have more files later. */
const globCharacters = /[*?[\]{}]/

/**
 * Files, in the order of the list; those of a folder (`*.csv`, `*.csv.gz`, `*.csv.zst`, not in folders below it) and of a glob by name.
 * A name that is a file is taken as that file, whatever characters are in it.
 */
export async function findFiles(entries: readonly string[]): Promise<Found> {
  const files = new Set<string>()
  const missing: { name: string; reason: string }[] = []
  for (const entry of entries) {
    const kind = await kindOf(entry)
    if (kind === 'file') files.add(resolve(entry))
    else if (kind === 'folder') {
      const names = (await readdir(entry)).filter((name) => /\.csv(\.gz|\.zst)?$/i.test(name) && !name.startsWith('.'))
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
  const unpacked = unpackerOf(path)
  return {
    path,
    compressed: unpacked !== undefined,
    fingerprint: { size, mtimeMs, head: await headOf(headBytes), headBytes },
    headOf,
    text: (offset) => (unpacked === undefined ? plain(handle, offset) : unpacked(path)),
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

/** A short name for people: the file's own. */
export function sourceName(path: string): string {
  return path === inputEntry ? 'standard input' : basename(path)
}
