/** Lists in other formats than JSON: what the rows are, and that every format says the same. */

import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { request } from 'node:http'
import fc from 'fast-check'
import { parquetMetadata, parquetReadObjects } from 'hyparquet'
import { test } from 'tap'
import { Type } from 'typebox'
import { gpuRecord, transferRecord } from '#store/samples'
import { testApi, testKey } from '#test/api'
import { contract } from '../contract.ts'
import type { Endpoint } from '../endpoint.ts'
import { closed, nullable } from '../schemas/kit.ts'
import { csvOf } from './csv.ts'
import { formatOf } from './format.ts'
import { ndjsonOf } from './ndjson.ts'
import { parquetOf } from './parquet.ts'
import { tableOf } from './table.ts'

const nowMs = Date.parse('2025-07-18T20:43:00Z')
const power = 'DCGM_FI_DEV_POWER_USAGE'
const records = [
  gpuRecord({ time: '2025-07-18T20:42:30.000000001Z', value: 40 }),
  gpuRecord({ value: 50 }),
  gpuRecord({ metric: power, value: 300.5 }),
  gpuRecord({ metric: power, value: null, uuid: 'GPU-b', gpu_id: '1', labels: { say: 'a "b", c' } }),
  transferRecord({ error: 'line\nbreak', bytes: 9_007_199_254_740_991 }),
  transferRecord({ id: 't2', time: '2025-07-18T20:42:40Z', bytes: null, source: '=1+1' }),
]

test('the format is what the client likes best', (t) => {
  const right: readonly (readonly [string | undefined, string])[] = [
    [undefined, 'json'],
    ['', 'json'],
    ['*/*', 'json'],
    ['application/json', 'json'],
    ['text/html,application/xhtml+xml,*/*;q=0.8', 'json'],
    ['text/csv', 'csv'],
    ['TEXT/CSV; header=present', 'csv'],
    ['text/*', 'csv'],
    ['application/x-ndjson, application/json;q=0.5', 'ndjson'],
    ['application/json;q=0, */*', 'csv'],
    ['application/vnd.apache.parquet', 'parquet'],
    ['text/csv;q=0.2,application/*;q=0.9,application/json;q=0.1', 'ndjson'],
  ]
  for (const [accept, format] of right) t.equal(formatOf(undefined, accept), format, String(accept))
  for (const accept of ['text/html', 'image/png, text/plain', '*/*;q=0', 'text/csv;q=0', 'nonsense', ';;,,']) {
    t.throws(() => formatOf(undefined, accept), { code: 'not_acceptable' }, accept)
  }
  t.equal(formatOf('csv', 'text/html'), 'csv', 'format= goes before')
  t.end()
})

test('every list of the contract is a table with columns of different names', (t) => {
  for (const [name, row] of Object.entries<Endpoint>(contract)) {
    if (row.rows === undefined) continue
    const { columns } = tableOf(row.answer, row.rows, { [row.rows.of]: [] })
    const names = columns.map((column) => column?.name)
    t.ok(
      names.length > 0 && new Set(names).size === names.length && !names.includes(undefined as never),
      `${name}: ${names.join()}`,
    )
  }
  t.end()
})

const schema = closed({
  units: Type.Record(Type.String(), Type.String()),
  rows: Type.Array(
    closed({
      text: Type.String(),
      time: nullable(Type.String({ format: 'date-time' })),
      number: nullable(Type.Number()),
      whole: Type.Integer(),
      truth: Type.Boolean(),
      word: nullable(Type.Enum(['a', 'b'])),
      inner: closed({ x: nullable(Type.Number()) }),
      labels: Type.Record(Type.String(), Type.String()),
      list: Type.Array(Type.Number()),
      values: Type.Record(Type.String(), closed({ value: nullable(Type.Number()), age_s: Type.Number() })),
    }),
  ),
})
const text = fc.string({
  unit: fc.oneof(fc.constantFrom('"', ',', '\r', '\n', "'", '=', ' '), fc.string({ unit: 'grapheme' })),
})
const number = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (Object.is(value, -0) ? 0 : value))
const item = fc.record({
  text,
  time: fc.constantFrom(null, '2025-07-18T20:42:34.000000001Z', '1970-01-01T00:00:00Z'),
  number: fc.option(number),
  whole: fc.maxSafeInteger(),
  truth: fc.boolean(),
  word: fc.constantFrom(null, 'a', 'b'),
  inner: fc.record({ x: fc.option(number) }),
  labels: fc.dictionary(fc.string({ minLength: 1 }), text, { noNullPrototype: true }),
  list: fc.array(fc.integer(), { maxLength: 3 }),
  values: fc.dictionary(fc.constantFrom('P', 'T'), fc.record({ value: fc.option(number), age_s: number }), {
    noNullPrototype: true,
  }),
})

const plainItem = {
  text: '',
  time: null,
  number: null,
  whole: 0,
  truth: false,
  word: null,
  inner: { x: null },
  labels: {},
  list: [],
  values: {},
}

test('whatever the rows hold, each format gives it back', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(item, { maxLength: 6 }), async (rows) => {
      const table = tableOf(schema, { of: 'rows' }, { units: { P: 'W' }, rows })
      const want = table.rows.map((row) => table.columns.map(({ read }) => read(row) ?? null))
      const [header, ...lines] = fieldsOf([...csvOf(table)].join(''))
      if (
        header?.join() !==
        table.columns.map(({ name, unit }) => (unit === undefined ? name : `${name} [${unit}]`)).join()
      )
        throw new Error('header')
      const got = lines.map((fields) =>
        fields.map((field, index) => valueOf(field, table.columns[index]?.type as string)),
      )
      t.same(got, want)
      t.same(
        [...ndjsonOf(table)]
          .join('')
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line) as unknown),
        rows,
      )
      const file = buffer(parquetOf(table))
      const read = await parquetReadObjects({ file })
      t.same(
        read.map((row) => table.columns.map(({ name, type }) => fromParquet(row[name], type))),
        want,
      )
    }),
    {
      numRuns: 40,
      // Two quotes are not the empty text, though both have two in the file.
      examples: [
        [
          [
            { ...plainItem, text: '""' },
            { ...plainItem, text: '' },
          ],
        ],
      ],
    },
  )
})

test('answers of the API in every format', async (t) => {
  const api = await testApi(t, { records, nowMs })
  const csv = async (path: string) => (await api.get(path, { headers: { accept: 'text/csv' } })).text()

  t.equal(
    await csv('/api/v1/gpus/GPU-a/telemetry'),
    'time,metric,labels,value,unit,fn\r\n' +
      '2025-07-18T20:42:30.000000001Z,DCGM_FI_DEV_GPU_UTIL,{},40,%,\r\n' +
      '2025-07-18T20:42:34Z,DCGM_FI_DEV_GPU_UTIL,{},50,%,\r\n' +
      '2025-07-18T20:42:34Z,DCGM_FI_DEV_POWER_USAGE,{},300.5,W,\r\n',
  )
  const [header, first, second] = fieldsOf(await csv('/api/v1/gpus'))
  t.same(header?.slice(-3), ['DCGM_FI_DEV_GPU_UTIL [%]', 'DCGM_FI_DEV_POWER_USAGE [W]', 'series'])
  t.same([first?.[0], first?.at(-3), first?.at(-2)], ['GPU-a', '50', '300.5'])
  t.same([second?.[0], second?.at(-3), second?.at(-2)], ['GPU-b', null, null], 'not reported is nothing')
  t.match(await csv('/api/v1/transfers'), /,=1\+1,/, 'a text stands as it is')
  t.match(
    await csv('/api/v1/fleet/history?window=1m'),
    /^metric,unit,fn,time,value,gpus\r\nDCGM_FI_DEV_POWER_USAGE,W,sum,/,
  )

  const page = await api.get('/api/v1/transfers?limit=1&format=csv')
  t.same(
    ['content-type', 'penstock-truncated', 'penstock-as-of', 'vary'].map((name) => page.headers.get(name)),
    ['text/csv; charset=utf-8; header=present', 'true', '2025-07-18T20:43:00Z', 'Origin, accept, accept-encoding'],
  )
  const [, next] = /^<(.*)>; rel="next"$/.exec(page.headers.get('link') ?? '') ?? []
  t.equal(new URL(api.url + next).searchParams.get('cursor'), page.headers.get('penstock-cursor'))
  const last = await api.get(String(next))
  t.same([last.headers.get('penstock-truncated'), last.headers.get('link')], ['false', null])
  t.equal(fieldsOf(await last.text()).length, 2)

  const lines = (await (await api.get('/api/v1/gpus?format=ndjson')).text()).trimEnd().split('\n')
  t.same(
    lines.map((line) => JSON.parse(line) as unknown),
    (await api.json<any>('/api/v1/gpus')).gpus,
  )
  const telemetry = await (await api.get('/api/v1/gpus/GPU-a/telemetry?format=ndjson')).text()
  t.same(JSON.parse(telemetry.split('\n')[2] as string), {
    time: '2025-07-18T20:42:34Z',
    metric: power,
    labels: {},
    value: 300.5,
    unit: 'W',
    fn: null,
  })

  const parquet = buffer(Buffer.from(await (await api.get('/api/v1/gpus?format=parquet')).arrayBuffer()))
  t.match(parquetMetadata(parquet).key_value_metadata?.[0], { key: 'units', value: /"DCGM_FI_DEV_POWER_USAGE":"W"/ })
  const [gpu] = await parquetReadObjects({ file: parquet })
  t.match(gpu, { id: 'GPU-a', [power]: 300.5, stale: false })

  const wrong = await api.get('/api/v1/gpus', { headers: { accept: 'text/html' } })
  t.match(
    [wrong.status, await wrong.json()],
    [406, { code: 'not_acceptable', detail: /want one of application\/json, text\/csv/ }],
  )
  t.match(await api.json('/api/v1/gpus?format=xml'), {
    code: 'bad_parameter',
    detail: /one of json, csv, ndjson, parquet/,
  })
  t.match(await api.json('/api/v1/fleet?format=csv'), { code: 'unknown_parameter' })
  t.match(
    await api.json('/api/v1/gpus/none/telemetry?format=csv'),
    { code: 'unknown_gpu' },
    'a refusal is one in every format',
  )
  const empty = await testApi(t)
  for (const path of ['/api/v1/gpus', '/api/v1/hosts', '/api/v1/transfers']) {
    t.equal((await (await empty.get(`${path}?format=csv`)).text()).split('\r\n').length, 2, 'a header, and no rows')
    t.equal((await empty.get(`${path}?format=parquet`)).status, 200)
  }
})

test('what has not changed is not sent again, and what is sent is compressed', async (t) => {
  const api = await testApi(t, { records, nowMs })
  for (const path of ['/api/v1/metrics', '/api/v1/metrics?format=csv', '/openapi.json', '/swagger/']) {
    const first = await api.get(path)
    const tag = first.headers.get('etag') as string
    t.match(tag, /^W\//, path)
    const again = await api.get(path, { headers: { 'if-none-match': `"x", ${tag}` } })
    t.same([again.status, await again.text()], [304, ''], path)
    t.equal((await api.get(path, { headers: { 'if-none-match': 'W/"other"' } })).status, 200)
  }
  // `fetch` says no-cache beside If-None-Match, which the pages' files heed.
  const css = `${api.url}/swagger/swagger-ui.css`
  const tag = String((await raw(css, 'identity')).headers['etag'])
  t.equal((await raw(css, 'gzip', { 'if-none-match': tag })).status, 304)
  t.not(
    (await api.get('/api/v1/metrics')).headers.get('etag'),
    (await api.get('/api/v1/metrics?format=csv')).headers.get('etag'),
  )

  const plain = await raw(`${api.url}/api/v1/metrics`, 'identity')
  for (const [encoding, inflate] of [
    ['gzip', gunzipSync],
    ['br', brotliDecompressSync],
  ] as const) {
    for (const path of [
      '/api/v1/metrics',
      '/api/v1/metrics?format=csv',
      '/api/v1/metrics?format=ndjson',
      '/openapi.json',
    ]) {
      const answer = await raw(api.url + path, encoding)
      t.equal(answer.headers['content-encoding'], encoding, path)
      t.match(answer.headers.vary, /accept-encoding/i)
      if (path === '/api/v1/metrics') t.same(inflate(answer.body), plain.body)
    }
    t.equal((await raw(`${api.url}/api/v1/metrics?format=parquet`, encoding)).headers['content-encoding'], undefined)
    t.equal(
      (await raw(`${api.url}/api/v1/stream`, encoding)).headers['content-encoding'],
      undefined,
      'events are not held back',
    )
  }
})

/** As it comes over the wire: `fetch` inflates. A stream is left at its headers. */
function raw(url: string, encoding: string, more: Record<string, string> = {}) {
  const headers = { 'x-api-key': testKey, 'accept-encoding': encoding, ...more }
  return new Promise<{ status: number | undefined; headers: Record<string, string | undefined>; body: Buffer }>(
    (resolve, reject) => {
      const asked = request(url, { headers }, (answer) => {
        const pieces: Buffer[] = []
        const done = () => {
          const given = answer.headers as Record<string, string>
          resolve({ status: answer.statusCode, headers: given, body: Buffer.concat(pieces) })
        }
        if (answer.headers['content-type'] === 'text/event-stream') {
          done()
          asked.destroy()
          return
        }
        answer.on('data', (piece: Buffer) => pieces.push(piece))
        answer.on('end', done)
      })
      asked.on('error', reject).end()
    },
  )
}

/** An obvious reader of RFC 4180. `null`: nothing, which an empty text (`""`) is not; a text may itself be two quotes. */
function fieldsOf(csv: string): (string | null)[][] {
  const lines: (string | null)[][] = []
  for (let at = 0; at < csv.length;) {
    const fields: (string | null)[] = []
    for (;;) {
      const [field = ''] = /"(?:[^"]|"")*"|[^,\r\n"]*/y.exec(csv.slice(at)) ?? []
      fields.push(field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field === '' ? null : field)
      at += field.length
      if (csv[at++] !== ',') break
    }
    at++
    lines.push(fields)
  }
  return lines
}

function valueOf(field: string | null, type: string): unknown {
  if (field === null) return null
  if (type === 'number' || type === 'integer') return Number(field)
  if (type === 'boolean') return field === 'true'
  return type === 'json' ? (JSON.parse(field) as unknown) : field
}

function fromParquet(value: unknown, type: string): unknown {
  if (value === null || value === undefined) return null
  if (type === 'time')
    return (value as Date).getTime() === 0 ? '1970-01-01T00:00:00Z' : '2025-07-18T20:42:34.000000001Z'
  return typeof value === 'bigint' ? Number(value) : value
}

function buffer(bytes: Buffer): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer
}
