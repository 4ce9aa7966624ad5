import { test } from 'tap'
import { commonSettings, flagOf, helpOf, readSettings, setting, SettingsError, type SettingTable } from './settings.ts'

function errorOf(table: SettingTable, env: Record<string, string>, flags: Record<string, string> = {}): string {
  try {
    readSettings(table, { env, flags })
  } catch (error) {
    if (error instanceof SettingsError) return error.message
    throw error
  }
  return ''
}

/** The value that one setting gives to a text, or the error. */
function valueOf(row: ReturnType<typeof setting.text | typeof setting.integer>, text: string): unknown {
  const table = { row } as SettingTable
  return errorOf(table, { X: text }) || readSettings(table, { env: { X: text } })['row']
}

test('a duration', (t) => {
  const row = setting.duration('X', { help: 'h', default: '30s', min: '1s', max: '12h' })
  t.equal(valueOf(row, '1500ms'), 1_500)
  t.equal(valueOf(row, '1.5s'), 1_500)
  t.equal(valueOf(row, '5m'), 300_000)
  t.equal(valueOf(row, '12h'), 43_200_000)
  t.equal(valueOf(row, '0.5d'), 43_200_000)
  for (const text of ['-3s', '30', '12.01h', '999ms', '1e9ms', 's', '3 weeks', '1h30m', 'Infinitys', '0x1s', '0']) {
    t.equal(valueOf(row, text), `X=${text}: want a duration from 1s to 12h`)
  }
  t.equal(valueOf(setting.duration('X', { help: 'h', min: '1s' }), '1'), 'X=1: want a duration of at least 1s')
  t.equal(valueOf(setting.duration('X', { help: 'h' }), '1'), 'X=1: want a duration such as 30s, 5m or 12h')
  t.equal(valueOf(setting.duration('X', { help: 'h' }), '0'), 0)
  t.end()
})

test('a size', (t) => {
  const row = setting.bytes('X', { help: 'h', min: '1KiB', max: '64GiB' })
  t.equal(valueOf(row, '4096'), 4_096)
  t.equal(valueOf(row, '256MiB'), 2 ** 28)
  t.equal(valueOf(row, '1GB'), 1e9)
  t.equal(valueOf(row, '1.5KiB'), 1_536)
  for (const text of ['1023', '65GiB', '-1', '1mib', '1GiBB', 'MiB', '1_000']) {
    t.equal(valueOf(row, text), `X=${text}: want a size from 1KiB to 64GiB`)
  }
  t.end()
})

test('a whole number', (t) => {
  const row = setting.integer('X', { help: 'h', min: -5, max: 10_000 })
  t.equal(valueOf(row, '10000'), 10_000)
  t.equal(valueOf(row, '-5'), -5)
  for (const text of ['-6', '10001', '1_000', '1e3', '0x10', '1.0', '٣', '+1', '99999999999999999']) {
    t.equal(valueOf(row, text), `X=${text}: want a whole number from -5 to 10000`)
  }
  t.end()
})

test('a port', (t) => {
  const row = setting.port('X', { help: 'h', default: '8080' })
  t.equal(valueOf(row, '0'), 0)
  t.equal(valueOf(row, '65535'), 65_535)
  for (const text of ['-1', '65536', 'http']) {
    t.equal(valueOf(row, text), `X=${text}: want a port from 1 to 65535, or 0 for any`)
  }
  t.end()
})

test('a boolean', (t) => {
  const table = { row: setting.boolean('X', { help: 'h', default: 'false' }) }
  for (const text of ['true', '1', 'yes', 'TRUE']) t.equal(readSettings(table, { env: { X: text } }).row, true, text)
  for (const text of ['false', '0', 'no', 'No']) t.equal(readSettings(table, { env: { X: text } }).row, false, text)
  t.equal(errorOf(table, { X: 'on' }), 'X=on: want true or false')
  t.equal(errorOf(table, { X: 'constructor' }), 'X=constructor: want true or false')
  t.equal(readSettings(table, { env: {}, flags: { x: 'true' } }).row, true)
  t.equal(table.row.isSwitch, true)
  t.end()
})

test('a choice', (t) => {
  const table = { row: setting.choice('X', { help: 'h', values: ['red', 'green'], default: 'red' }) }
  const { row } = readSettings(table, { env: { X: 'green' } })
  const typed: 'red' | 'green' = row
  t.equal(typed, 'green')
  t.equal(errorOf(table, { X: 'blue' }), 'X=blue: want one of red, green')
  t.end()
})

test('a list', (t) => {
  const table = { row: setting.list('X', { help: 'h', default: '' }) }
  t.same(readSettings(table, { env: { X: 'a, b ,c' } }).row, ['a', 'b', 'c'])
  t.same(readSettings(table, { env: {} }).row, [])
  t.equal(errorOf(table, { X: 'a,,b' }), 'X=a,,b: want a list with commas')
  t.end()
})

test('a URL', (t) => {
  const table = { row: setting.url('X', { help: 'h', default: 'http://127.0.0.1:8080' }) }
  t.equal(readSettings(table, { env: { X: 'https://broker.example/base/' } }).row, 'https://broker.example/base')
  t.equal(readSettings(table, { env: { X: 'http://[::1]:8080' } }).row, 'http://[::1]:8080')
  for (const text of ['broker:8080', 'ftp://x', 'http://', '/produce', 'http://x/?a=1']) {
    t.equal(errorOf(table, { X: text }), `X=${text}: want an http or https URL such as http://127.0.0.1:8080`)
  }
  const secret = errorOf(table, { X: 'http://ann:hunter2@x' })
  t.match(secret, /^X: the address holds a name or a password: want it without/)
  t.notMatch(secret, /hunter2/)
  t.end()
})

test('several URLs', (t) => {
  const table = { row: setting.urls('X', { help: 'h', default: '' }) }
  t.same(readSettings(table, { env: { X: 'http://a:1/, https://b' } }).row, ['http://a:1', 'https://b'])
  t.same(readSettings(table, { env: {} }).row, [])
  for (const text of ['broker-0', 'http://a,', 'http://a http://b']) {
    t.match(errorOf(table, { X: text }), /^X=.*: want http or https URLs with commas, such as /)
  }
  t.end()
})

test('a text with a pattern', (t) => {
  const table = { row: setting.text('X', { help: 'h', default: 'a', pattern: /^[a-z]+$/, want: 'small letters' }) }
  t.equal(readSettings(table, { env: { X: 'abc' } }).row, 'abc')
  t.equal(errorOf(table, { X: 'ABC' }), 'X=ABC: want small letters')
  t.end()
})

test('a row whose parse throws is a wrong value, and its error is not shown', (t) => {
  const row = {
    name: 'TOPICS',
    help: 'h',
    want: 'names',
    fallback: undefined,
    parse(): string {
      throw new Error('secret internals')
    },
  }
  t.equal(errorOf({ row }, { TOPICS: 'x' }), 'TOPICS=x: want names')
  t.end()
})

test('a flag wins over PENSTOCK_NAME, which wins over NAME; an empty text is none; the error names its source', (t) => {
  const table = { row: setting.integer('QUEUE_SIZE', { help: 'h', default: '7', min: 1, max: 9 }) }
  const env = { QUEUE_SIZE: '1', PENSTOCK_QUEUE_SIZE: '2' }
  t.equal(readSettings(table, { env, flags: { 'queue-size': '3' } }).row, 3)
  t.equal(readSettings(table, { env, flags: { 'queue-size': '' } }).row, 2)
  t.equal(readSettings(table, { env: { ...env, PENSTOCK_QUEUE_SIZE: '' } }).row, 1)
  t.equal(readSettings(table, { env: { QUEUE_SIZE: '' } }).row, 7)
  t.equal(errorOf(table, env, { 'queue-size': '30' }), '--queue-size=30: want a whole number from 1 to 9')
  t.equal(errorOf(table, { PENSTOCK_QUEUE_SIZE: 'x' }), 'PENSTOCK_QUEUE_SIZE=x: want a whole number from 1 to 9')
  t.equal(flagOf(table.row), '--queue-size')
  t.end()
})

test('all wrong values are told at once, one line each', (t) => {
  const table = {
    a: setting.integer('A', { help: 'h', default: '1' }),
    b: setting.duration('B', { help: 'h', default: '1s', min: '1s', max: '12h' }),
  }
  t.same(errorOf(table, { A: 'x', B: '-3s' }).split('\n'), [
    'A=x: want a whole number',
    'B=-3s: want a duration from 1s to 12h',
  ])
  t.end()
})

test('a value cannot break the line of its error, nor fill a screen, and a secret is not in it', (t) => {
  const table = {
    a: setting.integer('A', { help: 'h' }),
    token: setting.text('TOKEN', { help: 'h', secret: true, pattern: /^\S+$/, want: 'no blanks' }),
  }
  t.equal(errorOf(table, { A: '1\n2\u001b[2J' }), 'A="1\\n2\\u001b[2J": want a whole number')
  t.ok(errorOf(table, { A: 'x'.repeat(10_000) }).length < 300)
  t.equal(errorOf(table, { TOKEN: 'two words' }), 'TOKEN: want no blanks')
  t.end()
})

test('a default that is wrong is an error of the table, at once', (t) => {
  t.throws(() => setting.duration('X', { help: 'h', default: '30' }), { message: /default of X/ })
  t.throws(() => setting.bytes('X', { help: 'h', default: '1', min: 'many' }), { message: /no limit/ })
  t.end()
})

test('the help names flag, variable, purpose, range and default of each setting', (t) => {
  const help = helpOf({ ...commonSettings, q: setting.integer('Q_SIZE', { help: 'records', default: '5', min: 1 }) })
  const lines = help.split('\n')
  const at = lines.findIndex((line) => line.includes('--q-size'))
  t.match(lines[at], /^ {2}--q-size +Q_SIZE +records$/)
  t.match(lines[at + 1], /^ +a whole number of at least 1 \(default 5\)$/)
  t.equal(new Set(lines.slice(0, -1).map((line) => line.search(/ [^ ]+$/) > 0)).size, 1)
  t.notMatch(help, /undefined/)
  t.end()
})

test('the common settings', (t) => {
  const settings = readSettings(commonSettings, { env: {} })
  t.strictSame(settings, {
    port: 8080,
    host: undefined,
    serviceToken: undefined,
    logLevel: 'info',
    stopGraceMs: 10_000,
    dataDir: './data',
    tlsCert: undefined,
    tlsKey: undefined,
    tlsClientCa: undefined,
    tlsCa: undefined,
    tlsClientCert: undefined,
    tlsClientKey: undefined,
  })
  t.equal(
    errorOf(commonSettings, { SERVICE_TOKEN: 'a b' }),
    'SERVICE_TOKEN: want 1 to 512 visible ASCII characters without blanks; ' +
      'two with a comma while they are changed: the first is sent',
  )
  t.end()
})
