/** How many files the broker may keep open, by the limit of its process. */

import { readFileSync } from 'node:fs'

/** Where the system does not tell: macOS gives a process 256, and Node asks for more. */
const limitUnknown = 256

/** More open files than this save nothing: opening one again takes some 20 us. */
const openFilesMost = 16_384

/**
 * Half of the files that the process may have (`ulimit -n`; Node raises the soft limit to the hard one): the other half is
 * for connections.
 *
 * @param limits what `/proc/self/limits` says
 */
export function openFilesMax(limits = ownLimits()): number {
  const found = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1] ?? String(limitUnknown)
  const limit = found === 'unlimited' ? Infinity : Number(found)
  return Math.max(16, Math.min(openFilesMost, Math.floor(limit / 2)))
}

function ownLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8')
  } catch {
    return ''
  }
}
