/** Standard input as a source. */

import type { Readable } from 'node:stream'
import { SourceError, type OpenFile, type Text } from './source.ts'

/** The entry that is no file: standard input. */
export const inputEntry = '-'

export function isInput(entries: readonly string[]): boolean {
  return entries.length === 1 && entries[0] === inputEntry
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
