import { PassThrough } from 'node:stream'
import { test } from 'tap'
import { LogLines } from './log_lines.ts'

/** A stream that is no terminal: nothing is coloured. */
const plain = new PassThrough() as unknown as NodeJS.WriteStream
const lines = new LogLines(plain, ['broker-0', 'up'])

test('a log line becomes one for people: time, who, what, and the fields', async (t) => {
  const line = '{"level":"info","time":"2026-11-21T04:56:27.674Z","role":"broker","pid":1,"port":80,"msg":"listening"}'
  t.equal(lines.format('broker-0', line), '04:56:27 broker-0 listening port=80\n')
})

test('which HTTP engine the roles have is told once, and again where one has another', async (t) => {
  const line = (engine: string) => JSON.stringify({ level: 'info', engine, msg: `HTTP by ${engine}: it loads` })
  t.match(lines.format('broker-0', line('uws')), /broker-0 HTTP by uws: it loads\n$/)
  t.equal(lines.format('broker-1', line('uws')), '')
  t.match(lines.format('proxy', line('node')), /HTTP by node/)
})

test('what is wrong is marked, and an error stands by its message', async (t) => {
  const entry = {
    level: 'warn',
    time: '2026-11-21T04:56:27.674Z',
    msg: 'retry',
    err: { message: 'no way', stack: 's' },
  }
  t.equal(lines.format('up', JSON.stringify(entry)), '04:56:27 up       warning: retry err="no way"\n')
})

test('the last words of a command lose what the prefix says already', async (t) => {
  t.match(lines.format('broker-0', 'penstock broker: port 1 is in use'), /broker-0 error: port 1 is in use\n$/)
})

test('a child cannot write control characters into the terminal', async (t) => {
  t.notOk(lines.format('up', 'a\u001b[2Jb').includes('\u001b'))
  const entry = { msg: 'a\u001b[2Jb', 'k\u001b': '\u001b' }
  t.notOk(lines.format('up', JSON.stringify(entry)).includes('\u001b'))
})
