/** When this process shall end: a signal, or the end of the process that supervises it. */

import { constants } from 'node:os'

/**
 * Set by a supervisor (`penstock up`) for its children. It holds their standard input open and writes nothing: the end of
 * that pipe is the end of the supervisor, even when it was killed by -9 and could tell nobody.
 */
export const parentPipeVariable = 'PENSTOCK_PARENT_PIPE'

/** What a child that has lost its supervisor may take to stop by itself. */
const orphanGraceMs = 5_000

/**
 * Aborts at SIGTERM, SIGINT (Ctrl-C) and SIGHUP; the second of them ends the process at once.
 *
 * A supervised process ignores SIGINT and SIGHUP: a terminal sends them to the whole group, and the supervisor stops its
 * children in an order of its own.
 */
export function stopSignal(): AbortSignal {
  const controller = new AbortController()
  const supervised = isSupervised()
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (supervised && name !== 'SIGTERM') return
      if (controller.signal.aborted) process.exit(128 + constants.signals[name])
      controller.abort(new Error(`stopped by ${name}`))
    })
  }
  if (supervised) onEndOfInput(() => endAsOrphan(controller))
  return controller.signal
}

export function isSupervised(): boolean {
  return process.env[parentPipeVariable] === '1'
}

function onEndOfInput(callback: () => void): void {
  process.stdin.on('end', callback).on('error', callback).resume()
  // It must not keep a process that is done.
  ;(process.stdin as unknown as { unref?(): void }).unref?.()
}

function endAsOrphan(controller: AbortController): void {
  if (!controller.signal.aborted) controller.abort(new Error('the supervisor has ended'))
  setTimeout(() => process.exit(1), orphanGraceMs).unref()
}
