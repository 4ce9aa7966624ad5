import { test } from 'tap'
import { logTo } from './log.ts'

function linesOf(level: string, write: (log: ReturnType<typeof logTo>) => void): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = []
  write(logTo('broker', level, { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) }))
  return lines
}

test('a line is one JSON object with time, level, role, pid and message', (t) => {
  const [line] = linesOf('info', (log) => log.info({ port: 8080 }, 'listening'))
  t.match(line, { level: 'info', role: 'broker', pid: process.pid, port: 8080, msg: 'listening' })
  t.match(line?.['time'], /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  t.strictSame(Object.keys(line ?? {}).toSorted(), ['level', 'msg', 'pid', 'port', 'role', 'time'])
  t.end()
})

test('no token is logged', (t) => {
  const lines = linesOf('info', (log) => {
    log.info({ token: 'hunter2', serviceToken: 'hunter2', authorization: 'Bearer hunter2' })
    log.info({ headers: { authorization: 'Bearer hunter2' }, settings: { serviceToken: 'hunter2', token: 'hunter2' } })
  })
  t.equal(lines.length, 2)
  t.notMatch(JSON.stringify(lines), /hunter2/)
  t.end()
})

test('an error keeps its message, its stack and its cause', (t) => {
  const [line] = linesOf('info', (log) => log.error({ err: new Error('no', { cause: new Error('disk') }) }, 'failed'))
  t.match(line, { level: 'error', err: { message: /no.*disk/s, stack: /log\.test/ } })
  t.end()
})

test('what is below the level is not logged', (t) => {
  t.equal(linesOf('warn', (log) => log.info('no')).length, 0)
  t.equal(linesOf('silent', (log) => log.fatal('no')).length, 0)
  t.end()
})
