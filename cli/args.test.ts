import { test } from 'tap'
import { setting } from '#lib/settings'
import { readArgs, UsageError } from './args.ts'

const table = {
  visibility: setting.duration('VISIBILITY_TIMEOUT', { help: 'h', default: '30s' }),
  csv: setting.list('CSV', { help: 'h', default: '' }),
  once: setting.boolean('ONCE', { help: 'h', default: 'false' }),
  address: setting.url('MSG_QUEUE_ADDR', { help: 'h' }),
}

function linesOf(argv: readonly string[]): readonly string[] {
  try {
    readArgs(argv, table)
    return []
  } catch (error) {
    if (error instanceof UsageError) return error.lines
    throw error
  }
}

test('flags have the names of the settings', async (t) => {
  const { flags, help } = readArgs(['--visibility-timeout', '5s', '--csv=a.csv', '--once'], table)
  t.strictSame(flags, { 'visibility-timeout': '5s', csv: 'a.csv', once: 'true' })
  t.equal(help, false)
  t.equal(readArgs(['-h'], table).help, true)
})

test('a flag given again makes a list', async (t) => {
  t.equal(readArgs(['--csv', 'a', '--csv', 'b', '--csv=c'], table).flags['csv'], 'a,b,c')
})

test('a switch can be turned off, and takes no word with it', async (t) => {
  t.equal(readArgs(['--no-once'], table).flags['once'], 'false')
  t.equal(readArgs(['--once=no'], table).flags['once'], 'no')
  t.strictSame(readArgs(['--once', 'topic'], table, { positionalsMax: 1 }).positionals, ['topic'])
})

test('a short name stands for its flag', async (t) => {
  const { flags } = readArgs(['--addr', 'http://x'], table, { aliases: { addr: 'msg-queue-addr' } })
  t.strictSame(flags, { 'msg-queue-addr': 'http://x' })
})

test('a value may begin with a dash, or look like a flag behind an equals sign', async (t) => {
  t.equal(readArgs(['--visibility-timeout', '-3s'], table).flags['visibility-timeout'], '-3s')
  t.equal(readArgs(['--csv=--odd'], table).flags['csv'], '--odd')
})

test('everything that is wrong is told at once', async (t) => {
  t.strictSame(linesOf(['--visibilty-timeout', '5s', '--csv', '--once']), [
    'unknown flag --visibilty-timeout (did you mean --visibility-timeout?)',
    '--csv wants a value: --csv=…',
  ])
  t.strictSame(linesOf(['word']), ['unexpected "word"'])
  t.strictSame(linesOf(['--zzz']), ['unknown flag --zzz'])
})

test('behind -- nothing is a flag', async (t) => {
  t.strictSame(readArgs(['--', '--once'], table, { positionalsMax: 1 }).positionals, ['--once'])
})
