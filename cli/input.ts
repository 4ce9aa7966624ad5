/** Where a process has its standard input: a child of `penstock up` has that of `up` beside the pipe that leads to `up`. */

import { createReadStream, fstatSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Readable } from 'node:stream'

/** Set for a child that is handed the input: under which number. */
export const inputFdVariable = 'PENSTOCK_INPUT_FD'

/** The number under which a child has it. */
export const inputFd = 3

/** Nobody reads before this is called, and what has not been read then is there for the next process that is handed it. */
export function standardInput(): Readable {
  if (process.env[inputFdVariable] === undefined) return process.stdin
  const found = fstatSync(inputFd)
  // Pipes are shared with processes that do not block on them, so neither may this one.
  return found.isFIFO() || found.isSocket()
    ? new Socket({ fd: inputFd, readable: true, writable: false })
    : createReadStream('', { fd: inputFd })
}
