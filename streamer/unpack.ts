/** The text of compressed files, from their start. What can be read of one that is cut short or damaged is given out first. */

import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import zlib, { constants, crc32, createGunzip, type ZstdDecompress } from 'node:zlib'
import { messageOf, SourceError, type Text } from './source.ts'

/** How much is read, and how much is unpacked, at once. */
const chunkBytes = 256 * 1024

/** Whether a file is compressed is told by its name. */
export function unpackerOf(path: string): ((path: string) => Text) | undefined {
  const name = path.toLowerCase()
  return name.endsWith('.gz') ? gunzipped : name.endsWith('.zst') ? unzstd : undefined
}

/**
 * The text of a gzip file, from its start. zlib is told to give out what it can, because by itself it drops what it has
 * when the data ends too early; that it did is told by the trailer, and for files of several members by a second look.
 */
function gunzipped(path: string): Text {
  const source = createReadStream(path, { highWaterMark: chunkBytes })
  const unzip = createGunzip({ chunkSize: chunkBytes, finishFlush: constants.Z_SYNC_FLUSH })
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

/**
 * The text of a zstd file. Node's stream ends with the first frame that ends inside of a chunk (24.21: what follows is dropped,
 * without a word), and files of several frames are common (`cat a.zst b.zst`, `pzstd`, the seekable format): so the next one is
 * begun where that one says it has read to.
 */
function unzstd(path: string): Text {
  // Node has it since 22.15; its types say always.
  const create = zlib.createZstdDecompress as typeof zlib.createZstdDecompress | undefined
  if (create === undefined) {
    throw new SourceError(
      `${path} is compressed by zstd, which Node ${process.versions.node} cannot read: want Node 22.15 or newer, or the file unpacked`,
    )
  }
  let frames: { readonly chunks: AsyncIterator<Buffer, undefined>; readonly unpack: ZstdDecompress } | undefined
  let source: ReturnType<typeof createReadStream> | undefined
  let offset = 0
  let bytes = 0
  const next = async (): Promise<Buffer | undefined> => {
    for (;;) {
      if (frames === undefined) {
        if (offset >= (await stat(path)).size) return undefined
        const unpack = create({ chunkSize: chunkBytes })
        source = createReadStream(path, { highWaterMark: chunkBytes, start: offset })
        source.on('error', (error) => unpack.destroy(error))
        source.pipe(unpack)
        frames = { unpack, chunks: unpack[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined> }
      }
      const { chunks, unpack } = frames
      const found = await chunks.next()
      if (found.done !== true) return found.value
      source?.destroy()
      offset += unpack.bytesWritten
      if (unpack.bytesWritten === 0) return undefined
      frames = undefined
    }
  }
  return {
    async readInto(reader) {
      let found: Buffer | undefined
      try {
        found = await next()
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR') {
          throw new SourceError(
            `${path} is not a whole zstd file, it ends behind byte ${bytes} of its text (${messageOf(error)}): copy it again`,
          )
        }
        throw new SourceError(`${path} is damaged behind byte ${bytes} of its text (${messageOf(error)})`)
      }
      if (found === undefined) return false
      bytes += found.length
      reader.push(found)
      return true
    },
    async close() {
      source?.destroy()
      frames?.unpack.destroy()
    },
  }
}
