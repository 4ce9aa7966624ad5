/**
 * What a disk holds: what a process sees of it (the page cache) and what stands on it after a power loss.
 *
 * It is as mean as POSIX allows and a little meaner: what is not synced may be kept, lost, torn or reordered, each write
 * and each name by itself.
 */

import type { Random } from './random.ts'

type Change =
  | { readonly kind: 'write'; readonly position: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly bytes: number }

/** One file, whatever its name. */
export class Inode {
  /** What a process reads. */
  cache: Buffer = Buffer.alloc(0)
  #durable: Buffer = Buffer.alloc(0)
  /** In the cache and not durable, in order. */
  #changes: Change[] = []

  /** How many changes a sync that begins now covers. */
  get unsynced(): number {
    return this.#changes.length
  }

  write(bytes: Buffer, position: number): void {
    if (bytes.length === 0) return
    this.#changes.push({ kind: 'write', position, bytes })
    this.cache = changed(this.cache, this.#changes.at(-1) as Change)
  }

  truncate(bytes: number): void {
    this.#changes.push({ kind: 'truncate', bytes })
    this.cache = changed(this.cache, this.#changes.at(-1) as Change)
  }

  /** Makes the oldest changes durable. */
  sync(count: number): void {
    for (const change of this.#changes.splice(0, count)) this.#durable = changed(this.#durable, change)
  }

  /** The oldest changes count as written, though only some are: what Linux does when `fdatasync` fails. */
  failSync(count: number, random: Random): void {
    for (const change of this.#changes.splice(0, count)) {
      if (random.chance(0.5)) this.#durable = changed(this.#durable, change)
    }
  }

  /** The machine loses its power. */
  lose(random: Random): void {
    const fate = random.pick(['keep', 'lose', 'each', 'each'] as const)
    for (const change of this.#changes) {
      const kept = fate === 'keep' || (fate === 'each' && random.chance(0.4))
      if (kept) this.#durable = changed(this.#durable, change)
      else if (fate === 'each' && change.kind === 'write') this.#tear(change.position, change.bytes, random)
    }
    this.#changes = []
    this.cache = this.#durable
  }

  /** Flips some bits of a byte where it stands. */
  rot(position: number, mask: number): void {
    for (const content of new Set([this.cache, this.#durable])) {
      if (position < content.length) content[position] = (content[position] as number) ^ mask
    }
  }

  /** Some sectors of a write get to the disk. The size may be written without the bytes: there are zeros then. */
  #tear(position: number, bytes: Buffer, random: Random): void {
    const sectorBytes = random.pick([16, 64, 512])
    for (let from = 0; from < bytes.length; from += sectorBytes) {
      const sector = bytes.subarray(from, from + sectorBytes)
      if (random.chance(0.4)) this.#durable = put(this.#durable, sector, position + from)
    }
    if (random.chance(0.3)) this.#durable = put(this.#durable, Buffer.alloc(0), position + bytes.length)
  }
}

type Entry = Inode | 'folder'

/** A change of names that is one to a crash: all of it or nothing. */
type Naming = readonly (readonly [name: string, entry: Entry | undefined])[]

interface Folder {
  readonly names: Map<string, Entry>
  readonly durable: Map<string, Entry>
  namings: Naming[]
}

export class Platter {
  readonly #folders = new Map<string, Folder>()
  readonly #random: Random
  /** Nothing can be written any more, for now. */
  full = false

  constructor(random: Random) {
    this.#random = random
    this.#folders.set('', { names: new Map(), durable: new Map(), namings: [] })
  }

  list(folder: string): readonly string[] {
    return [...(this.#folders.get(folder)?.names.keys() ?? [])].sort()
  }

  /** Makes a folder and its parents, with names that are durable. */
  makeFolder(path: string): void {
    if (this.#folders.has(path)) return
    const [parent, name] = split(path)
    this.makeFolder(parent)
    this.#folders.set(path, { names: new Map(), durable: new Map(), namings: [] })
    const names = this.#folders.get(parent) as Folder
    names.names.set(name, 'folder')
    names.durable.set(name, 'folder')
  }

  /** The file of that name, made when there is none. */
  open(path: string): Inode {
    const [folder, name] = this.#place(path)
    const known = folder.names.get(name)
    if (known instanceof Inode) return known
    if (known === 'folder') throw failure('EISDIR', path)
    const inode = new Inode()
    this.#name(folder, [[name, inode]])
    return inode
  }

  rename(from: string, to: string): void {
    const [folder, name] = this.#place(from)
    const [target, newName] = this.#place(to)
    const inode = folder.names.get(name)
    if (inode === undefined) throw failure('ENOENT', from)
    if (folder !== target) throw new Error(`${from} to ${to}: the simulated disk renames within a folder only`)
    this.#name(folder, [
      [name, undefined],
      [newName, inode],
    ])
  }

  remove(path: string): void {
    const [folder, name] = this.#place(path)
    if (!folder.names.has(name)) throw failure('ENOENT', path)
    this.#name(folder, [[name, undefined]])
  }

  /** How many changes of a folder's names a sync that begins now covers. */
  unsyncedNames(path: string): number {
    return this.#folders.get(path)?.namings.length ?? 0
  }

  syncNames(path: string, count: number): void {
    const folder = this.#folders.get(path)
    if (folder === undefined) throw failure('ENOENT', path)
    for (const naming of folder.namings.splice(0, count)) apply(folder.durable, naming)
  }

  /** The machine loses its power: what is left is what was durable, and of the rest what chance kept. */
  losePower(): void {
    for (const folder of this.#folders.values()) {
      // A journaling file system keeps the order of names, POSIX does not ask for it.
      const ordered = this.#random.chance(0.5)
      const keep = this.#random.next()
      for (const naming of folder.namings) {
        if (this.#random.chance(keep)) apply(folder.durable, naming)
        else if (ordered) break
      }
      folder.namings = []
      folder.names.clear()
      for (const [name, entry] of folder.durable) folder.names.set(name, entry)
    }
    for (const [, inode] of this.files()) inode.lose(this.#random)
  }

  /** All files by path, each inode once. */
  files(): Map<string, Inode> {
    const found = new Map<string, Inode>()
    for (const [path, { names }] of this.#folders) {
      for (const [name, entry] of names) if (entry instanceof Inode) found.set(`${path}/${name}`, entry)
    }
    return found
  }

  #place(path: string): readonly [Folder, string] {
    const [parent, name] = split(path)
    const folder = this.#folders.get(parent)
    if (folder === undefined) throw failure('ENOENT', path)
    return [folder, name]
  }

  #name(folder: Folder, naming: Naming): void {
    apply(folder.names, naming)
    folder.namings.push(naming)
  }
}

/** An error as the system gives it. */
export function failure(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code })
}

function apply(names: Map<string, Entry>, naming: Naming): void {
  for (const [name, entry] of naming) {
    if (entry === undefined) names.delete(name)
    else names.set(name, entry)
  }
}

function changed(content: Buffer, change: Change): Buffer {
  if (change.kind === 'write') return put(content, change.bytes, change.position)
  const cut = Buffer.alloc(change.bytes)
  content.copy(cut)
  return cut
}

function put(content: Buffer, bytes: Buffer, position: number): Buffer {
  const grown = Buffer.alloc(Math.max(content.length, position + bytes.length))
  content.copy(grown)
  bytes.copy(grown, position)
  return grown
}

function split(path: string): readonly [parent: string, name: string] {
  const slash = path.lastIndexOf('/')
  return [slash === -1 ? '' : path.slice(0, slash), path.slice(slash + 1)]
}
