/** The log of a process: pino, one JSON object a line on standard output, readable lines when that is a terminal. */

import { type Logger, pino, stdTimeFunctions } from 'pino'

export type Log = Logger

/** Where a token could stand in what is logged: as a field, or one level down (headers, settings). */
const secretPaths = ['authorization', 'token', 'serviceToken'].flatMap((name) => [name, `*.${name}`])

/** Loaded only for a terminal: a service has no use for it, and it takes as long to load as pino itself. */
const pretty = process.stdout.isTTY ? (await import('pino-pretty')).default : undefined

/**
 * The log of a role. SIGUSR2 turns `debug` on, and off again. Lines are written at once (`sync`), so that nothing is lost when the process ends.
 *
 * @param level one of `LOG_LEVEL`'s values
 */
export function createLog(role: string, level: string): Log {
  const target =
    pretty === undefined
      ? pino.destination({ dest: 1, sync: true })
      : pretty({ destination: 1, sync: true, ignore: 'pid,role', messageFormat: '{role}: {msg}' })
  const log = logTo(role, level, target)
  onToggle(() => changeLevel(log, log.level === 'debug' ? level : 'debug', 'SIGUSR2'))
  return log
}

const toggles: (() => void)[] = []

/** One listener, however many logs a process makes. */
function onToggle(toggle: () => void): void {
  // Windows has no such signal. Elsewhere it ends a process that does not listen.
  if (toggles.push(toggle) === 1 && process.platform !== 'win32') {
    process.on('SIGUSR2', () => {
      for (const each of toggles) each()
    })
  }
}

/** Changes the level of a log that is written to, and says so at any level but `silent`. */
export function changeLevel(log: Log, level: string, why: string): void {
  const from = log.level
  if (from === level) return
  // A line that the quieter of the two levels lets pass: who reads the log must know what it lacks from here on.
  log.level = 'info'
  log.info({ from, to: level }, `the log level is changed by ${why}`)
  log.level = level
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
