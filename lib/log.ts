/** The log of a process: pino, one JSON object a line on standard output, readable lines when that is a terminal. */

import { type Logger, pino, stdTimeFunctions } from 'pino'

export type Log = Logger

/** Where a token could stand in what is logged: as a field, or one level down (headers, settings). */
const secretPaths = ['authorization', 'token', 'serviceToken'].flatMap((name) => [name, `*.${name}`])

/** Loaded only for a terminal: a service has no use for it, and it takes as long to load as pino itself. */
const pretty = process.stdout.isTTY ? (await import('pino-pretty')).default : undefined

/**
 * The log of a role. Lines are written at once (`sync`), so that nothing is lost when the process ends.
 *
 * @param level one of `LOG_LEVEL`'s values
 */
export function createLog(role: string, level: string): Log {
  const target =
    pretty === undefined
      ? pino.destination({ dest: 1, sync: true })
      : pretty({ destination: 1, sync: true, ignore: 'pid,role', messageFormat: '{role}: {msg}' })
  return logTo(role, level, target)
}

/** The same log, written elsewhere: for tests. */
export function logTo(role: string, level: string, target: { write(line: string): void }): Log {
  return pino(
    {
      level,
      base: { role, pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretPaths, censor: '[redacted]' },
    },
    target,
  )
}
