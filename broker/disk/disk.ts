/**
 * What the broker needs of a disk, and nothing else. It is handed in, so that a test can stand between the log and the
 * files: fail a write, cut it short, lose what was not synced.
 *
 * Every call may reject with the system's error (`code` `ENOSPC`, `EIO`, `EROFS` …).
 */
export interface Disk {
  /** The names in a folder, sorted; none when the folder is not there, or is a file. */
  list(folder: string): Promise<readonly string[]>
  /** Makes a folder with its parents; the names are durable when it resolves. */
  makeFolder(folder: string): Promise<void>
  /** Opens a file for reading and writing, making it when it is not there. A new name is durable after {@link syncFolder}. */
  open(path: string): Promise<DiskFile>
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  /** Makes the folder's names (created, renamed, removed) durable. */
  syncFolder(folder: string): Promise<void>
  /** The room on the disk that holds a folder. */
  space(folder: string): Promise<DiskSpace>
}

export interface DiskSpace {
  /** What this process may still write. */
  readonly freeBytes: number
  readonly totalBytes: number
}

/** One open file. Positions and sizes are in bytes. */
export interface DiskFile {
  size(): Promise<number>
  /** Reads into the view; fewer bytes than asked mean the end of the file. */
  read(into: Uint8Array, position: number): Promise<number>
  /** Writes the views one behind the other and tells how many bytes were taken: fewer than given is possible. */
  write(views: readonly Uint8Array[], position: number): Promise<number>
  /** Makes what was written durable (`fdatasync`). A failure is final: the pages that failed are marked clean. */
  sync(): Promise<void>
  truncate(bytes: number): Promise<void>
  close(): Promise<void>
}

/** Whether an error says that there is no room: the disk, the quota or the file size limit. */
export function isDiskFull(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG'
}

/** Reads a whole small file (identity, topic settings). */
export async function readWhole(disk: Disk, path: string): Promise<Buffer> {
  const file = await disk.open(path)
  try {
    const bytes = Buffer.alloc(await file.size())
    let filled = 0
    while (filled < bytes.length) {
      const count = await file.read(bytes.subarray(filled), filled)
      if (count === 0) break
      filled += count
    }
    return bytes.subarray(0, filled)
  } finally {
    await file.close()
  }
}

/** Writes the views at the position, all of them: short writes are gone on with. */
export async function writeFully(file: DiskFile, views: readonly Uint8Array[], position: number): Promise<void> {
  let rest = views
  let at = position
  while (rest.length > 0) {
    let taken = await file.write(rest, at)
    if (taken === 0) throw Object.assign(new Error('the disk took no bytes'), { code: 'EIO' })
    at += taken
    let done = 0
    while (done < rest.length && taken >= (rest[done] as Uint8Array).length)
      taken -= (rest[done++] as Uint8Array).length
    rest = rest.slice(done)
    if (taken > 0) rest = [(rest[0] as Uint8Array).subarray(taken), ...rest.slice(1)]
  }
}

/**
 * Replaces a small file as a whole: a reader, also after a crash, finds the old content or the new one, never a part.
 */
export async function replaceWhole(disk: Disk, folder: string, name: string, content: Uint8Array): Promise<void> {
  const temporary = `${folder}/${name}.new`
  const file = await disk.open(temporary)
  try {
    await file.truncate(0)
    await writeFully(file, [content], 0)
    await file.sync()
  } finally {
    await file.close()
  }
  await disk.rename(temporary, `${folder}/${name}`)
  await disk.syncFolder(folder)
}
