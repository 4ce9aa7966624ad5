/** A load tool of a peer: run to its end, and what it prints. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** A tool that takes longer hangs. */
const timeoutMs = 180_000

/** @throws Error with what it printed when it fails */
export async function outputOf(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs, killSignal: 'SIGKILL' })
  let text = ''
  let errors = ''
  child.stdout.on('data', (data: Buffer) => (text += data.toString()))
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0)
    throw new Error(`${command} ${args[0] ?? ''} ended with ${code}: ${text.slice(-400)}${errors.slice(-400)}`)
  return text
}
