/** A disk in memory for tests: what stands on it can be looked at and spoiled, and the next call of a kind can be made to fail. */

import type { Disk, DiskFile, DiskSpace } from './disk.ts'

/** The calls that can be made to fail. */
export type DiskCall = 'write' | 'sync' | 'truncate' | 'open'

export class MemoryDisk implements Disk {
  /** The content of each file, by path. */
  readonly files = new Map<string, Buffer>()
  readonly #faults: { readonly call: DiskCall; readonly error: Error; readonly takes: number }[] = []
  /** What {@link space} tells; writes beyond it are taken all the same. */
  totalBytes = 2 ** 40
  /** After so many more writes the disk takes none any more. */
  writesLeft = Infinity
  /** How many calls of each kind there were. */
  readonly calls: Record<DiskCall, number> = { write: 0, sync: 0, truncate: 0, open: 0 }
  readonly #open = new Set<MemoryFile>()
  #held: Promise<void> | undefined

  /** How many handles are not closed. */
  get openFiles(): number {
    return this.#open.size
  }

  /**
   * The next call of this kind fails with an error of this code.
   *
   * @param takes bytes that a write still puts into the file before it fails
   */
  failNext(call: DiskCall, code: string, takes = 0): void {
    this.#faults.push({ call, error: Object.assign(new Error(`${code}: told to fail`), { code }), takes })
  }

  /** Keeps all writes waiting until the returned function is called. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#held = promise
    return () => {
      this.#held = undefined
      resolve()
    }
  }

  async list(folder: string): Promise<readonly string[]> {
    const names = new Set<string>()
    for (const path of this.files.keys()) {
      if (path.startsWith(`${folder}/`)) names.add(path.slice(folder.length + 1).split('/')[0] as string)
    }
    return [...names].sort()
  }

  async makeFolder(): Promise<void> {}

  async syncFolder(): Promise<void> {}

  async space(): Promise<DiskSpace> {
    let taken = 0
    for (const content of this.files.values()) taken += content.length
    return { freeBytes: Math.max(0, this.totalBytes - taken), totalBytes: this.totalBytes }
  }

  async open(path: string): Promise<DiskFile> {
    this.called('open')
    if (!this.files.has(path)) this.files.set(path, Buffer.alloc(0))
    const file = new MemoryFile(this, path, () => this.#open.delete(file))
    this.#open.add(file)
    return file
  }

  async rename(from: string, to: string): Promise<void> {
    for (const file of this.#open) {
      if (file.path === to && from !== to) file.detach()
      else if (file.path === from) file.path = to
    }
    const content = this.files.get(from) as Buffer
    this.files.delete(from)
    this.files.set(to, content)
  }

  async remove(path: string): Promise<void> {
    for (const file of this.#open) if (file.path === path) file.detach()
    this.files.delete(path)
  }

  /** Counts a call, and throws when it was told to fail; a failing write takes some bytes first. */
  called(call: DiskCall, partly?: (bytes: number) => void): void {
    this.calls[call]++
    if (call === 'write' && --this.writesLeft < 0) throw Object.assign(new Error('EIO: told to fail'), { code: 'EIO' })
    const at = this.#faults.findIndex((fault) => fault.call === call)
    if (at === -1) return
    const [fault] = this.#faults.splice(at, 1)
    if (fault === undefined) return
    partly?.(fault.takes)
    throw fault.error
  }

  async released(): Promise<void> {
    await this.#held
  }
}

class MemoryFile implements DiskFile {
  readonly #disk: MemoryDisk
  readonly #closed: () => void
  /** Nothing once the file has lost its name: then it lives on in this handle alone. */
  path: string | undefined
  #detached = Buffer.alloc(0)

  constructor(disk: MemoryDisk, path: string, closed: () => void) {
    this.#disk = disk
    this.path = path
    this.#closed = closed
  }

  get #content(): Buffer {
    return this.path === undefined ? this.#detached : (this.#disk.files.get(this.path) ?? Buffer.alloc(0))
  }

  set #content(content: Buffer<ArrayBuffer>) {
    if (this.path === undefined) this.#detached = content
    else this.#disk.files.set(this.path, content)
  }

  detach(): void {
    this.#detached = Buffer.from(this.#content)
    this.path = undefined
  }

  async size(): Promise<number> {
    return this.#content.length
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    return this.#content.copy(into, 0, position)
  }

  async write(views: readonly Uint8Array[], position: number): Promise<number> {
    await this.#disk.released()
    const bytes = Buffer.concat(views)
    this.#disk.called('write', (count) => this.#put(bytes.subarray(0, count), position))
    this.#put(bytes, position)
    return bytes.length
  }

  async sync(): Promise<void> {
    this.#disk.called('sync')
  }

  async truncate(bytes: number): Promise<void> {
    this.#disk.called('truncate')
    const content = Buffer.alloc(bytes)
    this.#content.copy(content)
    this.#content = content
  }

  async close(): Promise<void> {
    this.#closed()
  }

  #put(bytes: Buffer, position: number): void {
    const content = Buffer.alloc(Math.max(this.#content.length, position + bytes.length))
    this.#content.copy(content)
    bytes.copy(content, position)
    this.#content = content
  }
}
