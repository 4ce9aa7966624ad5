/** A role as a child process: `penstock <role>` with its settings in the environment. */

import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { inputFd, inputFdVariable } from '../input.ts'
import { LineSplitter } from '../lines.ts'
import { parentPipeVariable } from '../stop.ts'
import type { Exit, Running } from './keeper.ts'

/** The launcher of a checkout; the published package has the compiled commands only. */
const launcher = join(import.meta.dirname, '../penstock.js')
const entry = existsSync(launcher) ? launcher : join(import.meta.dirname, '../main.js')

export interface ChildOptions {
  readonly role: string
  /** The whole environment of the child. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** It reads the standard input of this process. */
  readonly takesInput?: boolean | undefined
  onLine(line: string): void
  onExit(exit: Exit): void
}

export interface Child extends Running {
  readonly pid: number | undefined
}

/** Starts a role. It ends by itself when this process does, however that ends: see {@link parentPipeVariable}. */
export function startChild({ role, env, takesInput = false, onLine, onExit }: ChildOptions): Child {
  const given = takesInput ? { [inputFdVariable]: String(inputFd) } : undefined
  const child = spawn(process.execPath, [entry, role], {
    env: { ...env, [parentPipeVariable]: '1', ...given },
    stdio: ['pipe', 'pipe', 'pipe', takesInput ? 0 : 'ignore'],
  }) as ChildProcessByStdio<Writable, Readable, Readable>
  // Nothing is ever written to it; a child that dies must not raise an error here.
  child.stdin.on('error', () => {})
  eachLine(child.stdout, onLine)
  eachLine(child.stderr, onLine)
  let failure: string | undefined
  child.on('error', (error) => {
    failure = error.message
    if (child.pid === undefined) onExit({ code: null, signal: null, error: failure })
  })
  child.on('close', (code, signal) => {
    if (child.pid !== undefined) onExit({ code, signal })
  })
  return { pid: child.pid, kill: (signal) => void child.kill(signal) }
}

function eachLine(stream: Readable, onLine: (line: string) => void): void {
  const splitter = new LineSplitter()
  stream.on('data', (piece: Buffer) => splitter.feed(piece).forEach(onLine))
  stream.on('end', () => splitter.end().forEach(onLine))
}

/** The line by which a role says where it listens. */
export interface Listening {
  readonly url: string
  readonly port: number
}

/** Reads that line; `undefined` for any other. */
export function readListening(line: string): Listening | undefined {
  if (!line.startsWith('{') || !line.includes('"listening"')) return undefined
  try {
    const { msg, url, port } = JSON.parse(line) as { msg?: unknown; url?: unknown; port?: unknown }
    if (msg === 'listening' && typeof url === 'string' && typeof port === 'number') return { url, port }
  } catch {
    // Not a log line.
  }
  return undefined
}
