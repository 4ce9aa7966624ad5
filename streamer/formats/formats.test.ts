import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { test } from 'tap'
import { identityOf } from '#telemetry/identity'
import { isRefused, readRecord, type GpuRecord, type TelemetryRecord, type TransferRecord } from '#telemetry/record'
import { Batcher } from '../batch.ts'
import { CsvReader } from './csv.ts'
import { formatOf } from './format.ts'
import { loopPeriodMs, noSpan, TimeShift } from './times.ts'

interface Read {
  readonly records: TelemetryRecord[]
  readonly keys: string[]
  readonly dead: { readonly reason: string; readonly line: number; readonly row: string }[]
  readonly times: TimeShift
}

/** All of a file's text as records, each checked as the collector checks it. */
function read(text: string | Buffer, shiftMs = 0, pass = 0): Read {
  const reader = new CsvReader({ offset: 0, line: 1 })
  reader.push(Buffer.from(text))
  reader.finish()
  assert.equal(reader.next(), 'row')
  const format = formatOf(Array.from({ length: reader.fieldCount }, (_, field) => reader.text(field)))
  if ('refused' in format) throw new Error(format.refused)
  const times = new TimeShift(shiftMs, noSpan)
  const header = reader.rowText(10_000)
  const batch = new Batcher(reader, format.mapper(times, pass, 'h0'), format.fields, header).take(Infinity)
  const records = (batch?.records ?? []).map(({ data }) => {
    assert.ok(!data.includes('\n'))
    const record = readRecord(JSON.parse(data))
    if (isRefused(record)) throw new Error(record.refused)
    return record
  })
  return { records, keys: (batch?.records ?? []).map(({ key }) => key), dead: [...(batch?.dead ?? [])], times }
}

function gpus(text: string): GpuRecord[] {
  return read(text).records as GpuRecord[]
}

function transfers(text: string, pass = 0): TransferRecord[] {
  return read(text, 0, pass).records as TransferRecord[]
}

const header = 'timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw\n'
const labels =
  '"DCGM_FI_DRIVER_VERSION=""535.129.03"",Hostname=""h1"",UUID=""GPU-1"",__name__=""X"",device=""nvidia0"",gpu=""0"",instance=""h1:9400"",job=""dgx"",modelName=""H100"""'

function row(value: string, over: { time?: string; metric?: string; uuid?: string; labels?: string } = {}): string {
  const { time = '2025-07-18T20:42:34Z', metric = 'DCGM_FI_DEV_GPU_UTIL', uuid = 'GPU-1' } = over
  return `"${time}","${metric}","0","nvidia0","${uuid}","H100","h1","","","","${value}",${over.labels ?? labels}\n`
}

test('a row of the usual export becomes the record of the design', async (t) => {
  const { records, keys } = read(header + row('97'))
  t.same(records, [
    {
      kind: 'gpu',
      time: '2025-07-18T20:42:34Z',
      device_id: 'nvidia0',
      metric: 'DCGM_FI_DEV_GPU_UTIL',
      value: 97,
      gpu_id: '0',
      uuid: 'GPU-1',
      model_name: 'H100',
      hostname: 'h1',
      container: '',
      pod: '',
      namespace: '',
      labels: { driver_version: '535.129.03', instance: 'h1:9400', job: 'dgx' },
    },
  ])
  t.same(keys, ['GPU-1'])
})

test('the sample file: 2,470 rows, 247 GPUs, 31 hosts, each value as it stands', async (t) => {
  const path = join(import.meta.dirname, '../../../shared/data/dcgm_metrics_20250718_134233.csv')
  if (!existsSync(path)) return t.pass('the sample file is not here')
  const bytes = readFileSync(path)
  const { records, dead } = read(bytes)
  const points = records as GpuRecord[]
  t.equal(points.length, 2470)
  t.same(dead, [])
  t.equal(new Set(points.map(({ uuid }) => uuid)).size, 247)
  t.equal(new Set(points.map(({ hostname }) => hostname)).size, 31)
  t.equal(new Set(points.map(identityOf)).size, 2470)
  // The obvious reading: fields before the labels hold neither quotes nor commas.
  const lines = bytes.toString().trim().split('\n').slice(1)
  for (const [index, line] of lines.entries()) {
    const cells = line.slice(1).split('","')
    const point = points[index] as GpuRecord
    assert.deepEqual([point.time, point.metric, point.gpu_id, point.device_id, point.uuid], cells.slice(0, 5))
    assert.deepEqual([point.model_name, point.hostname, point.value], [cells[5], cells[6], Number(cells[10])])
  }
})

test('variants of the columns: names in any case, exported labels, MIG, unknown columns', async (t) => {
  const [mig] = gpus(
    'Time,metric,value,UUID,hostname,pod,exported_pod,exported_namespace,exported_container,GPU_I_ID,GPU_I_PROFILE,nvlink\r\n' +
      '1752871354,M,1.50,GPU-1,h9,dcgm-exporter-x,train-0,ml,main,3,1g.10gb,7\r\n',
  )
  t.match(mig, {
    time: '2025-07-18T20:42:34Z',
    value: 1.5,
    hostname: 'h9',
    pod: 'train-0',
    namespace: 'ml',
    container: 'main',
    gpu_i_id: '3',
    labels: { gpu_i_profile: '1g.10gb', nvlink: '7' },
  })
  const [fromLabels] = gpus(
    'timestamp,metric_name,uuid,value,labels_raw\n' +
      '2025-07-18T20:42:34Z,M,GPU-1,1,"{pod=""exporter"",exported_pod=""train-1"",namespace=""ml"",DCGM_FI_SYSTEM_DRIVER_VERSION=""580"",GPU_I_ID=""2"",note=""a \\""b\\"" \\\\ c""}"\n',
  )
  t.match(fromLabels, {
    pod: 'train-1',
    namespace: 'ml',
    gpu_i_id: '2',
    labels: { driver_version: '580', note: 'a "b" \\ c' },
  })
  t.equal(gpus('timestamp,metric_name,uuid,value,exported_pod,pod\n2025-07-18T20:42:34Z,M,G,1,,exporter\n')[0]?.pod, '')
})

test('a label may be called __proto__', async (t) => {
  const [read] = gpus(
    'timestamp,metric_name,uuid,value,labels_raw\n2025-07-18T20:42:34Z,M,G,1,"__proto__=""a"",x=""b"""\n',
  )
  t.equal(JSON.stringify(read?.labels), '{"__proto__":"a","x":"b"}')
})

test('blanks and sentinels are not reported, and no dead letters', async (t) => {
  const values = [
    '',
    ' ',
    'NaN',
    '[N/A]',
    'SKIPPING DCGM VALUE',
    'ERROR - FAILED TO CONVERT TO STRING',
    '9223372036854775794',
  ]
  const { records, dead } = read(header + values.map((value) => row(value)).join(''))
  t.same(
    (records as GpuRecord[]).map(({ value }) => value),
    values.map(() => null),
  )
  t.same(dead, [])
})

test('each bad row is a dead letter with its line, its reason and itself', async (t) => {
  const bad: [string, RegExp][] = [
    [row('12 W'), /value is "12 W": want a number/],
    [row('1', { time: 'yesterday' }), /timestamp is "yesterday": want RFC 3339/],
    [row('1', { uuid: '', labels: '""' }), /uuid is empty/],
    [row('1', { metric: '' }), /metric is empty/],
    [row('644245923', { metric: 'DCGM_FI_DEV_GPU_TEMP' }), /implausible/],
    [row('1', { labels: '"junk"' }), /labels are "junk": want name="value"/],
    ['a,b,c\n', /the row has 3 fields: want 12/],
    [`${row('1').trimEnd()},x\n`, /the row has 13 fields: want 12/],
    ['"a"b\n', /text follows a closing quote/],
  ]
  for (const [text, reason] of bad) {
    const { records, dead } = read(header + row('1', { uuid: 'GPU-0' }) + text + row('2'))
    t.equal(records.length, 2, text)
    t.match(dead, [{ reason, line: 3, row: text.trimEnd() }])
  }
  const latin = read(Buffer.concat([Buffer.from(header), Buffer.from(row('1', { uuid: 'GPU-\xe9' }), 'latin1')]))
  t.match(latin.dead, [{ reason: /not UTF-8/ }])
})

test('a file that ends in the middle of a row says so, one that lacks the last line end does not', async (t) => {
  t.match(read(`${header}${row('1')}"2025-07-18T20:42:34Z","DCGM`).dead, [{ reason: /a quote is not closed/, line: 3 }])
  t.match(read(`${header}${row('1')}2025-07-18T20:42:34Z,DCGM`).dead, [{ reason: /2 fields and the file ends in it/ }])
  t.equal(gpus(header + row('1').trimEnd()).length, 1)
})

test('a header that comes again is no row', async (t) => {
  const { records, dead } = read(header + row('1') + header + row('2'))
  t.equal(records.length, 2)
  t.same(dead, [])
})

test('whatever the columns hold, the record holds it', async () => {
  const text = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\\', '\u2028', 'é', '😀', '\t'), maxLength: 8 })
  const quoted = (value: string): string => `"${value.replaceAll('"', '""')}"`
  fc.assert(
    fc.property(
      fc.array(fc.tuple(text, text, fc.integer({ max: 1_000_000 })), { minLength: 1, maxLength: 6 }),
      (rows) => {
        // A series comes twice, so that the second time is told from the first by time and value only.
        const all = [...rows, ...rows]
        const lines = all.map(([pod, host, value]) =>
          `2025-07-18T20:42:34Z,M,u${quoted(host)},${quoted(pod)},${value}`.replace(
            `u${quoted(host)}`,
            quoted(`u${host}`),
          ),
        )
        const points = gpus(`timestamp,metric_name,uuid,pod,value\n${lines.join('\n')}`)
        assert.deepEqual(
          points.map(({ pod, uuid, value }) => [pod, uuid, value]),
          all.map(([pod, host, value]) => [pod, `u${host}`, value]),
        )
      },
    ),
  )
})

const plainLog = 'timestamp_iso,timestamp_unix,bytes,duration,throughput_bytes_per_sec,status,site\n'

test('a plain transfer log: one transfer a row, equal rows told apart, the same ids each time', async (t) => {
  const text =
    plainLog +
    '2025-07-18T20:42:34Z,1752871354,1048576,0.84,1248304,success,SITE_A\n' +
    '2025-07-18T20:42:34Z,1752871354,1048576,0.84,1248304,success,SITE_A\n' +
    '2025-07-18 20:42:35,1752871355.5,2000,,1000,failed,SITE_B\n'
  const rows = transfers(text)
  t.match(rows[0], {
    kind: 'transfer',
    site: 'SITE_A',
    bytes: 1_048_576,
    duration_s: 0.84,
    status: 'success',
    source: '',
    error: '',
  })
  t.equal(new Set(rows.map(({ id }) => id)).size, 3)
  t.equal(rows[1]?.id, `${rows[0]?.id}-2`)
  t.match(rows[2], { time: '2025-07-18T20:42:35.500Z', duration_s: 2 })
  t.same(transfers(text), rows)
  t.same(read(text).keys, ['SITE_A', 'SITE_A', 'SITE_B'])
  const again = transfers(text, 1)
  t.equal(new Set([...rows, ...again].map(({ id }) => id)).size, 6, 'a repeated pass makes other transfers')
})

test('a rich transfer log keeps its ids, ends and errors', async (t) => {
  const [rich] = transfers(
    'id,time,bytes,duration,status,site,source,destination,source_site,destination_site,started,attempt,final,error,error_class\n' +
      't-1,2025-07-18T20:42:34Z,10,2,failed,A,A:/x,B:/y,A,B,2025-07-18T20:42:32Z,2,true,"no space, left",DESTINATION\n',
  )
  t.same(rich, {
    kind: 'transfer',
    time: '2025-07-18T20:42:34Z',
    id: 't-1',
    site: 'A',
    source: 'A:/x',
    destination: 'B:/y',
    bytes: 10,
    duration_s: 2,
    status: 'failed',
    error: 'no space, left',
    started: '2025-07-18T20:42:32Z',
    source_site: 'A',
    destination_site: 'B',
    attempt: 2,
    final: true,
    error_class: 'DESTINATION',
  })
  t.match(read(`${plainLog}2025-07-18T20:42:34Z,1,many,1,1,ok,A\n`).dead, [
    { reason: /bytes is "many": want a number/, line: 2 },
  ])
})

test('a reason quotes the beginning of a field, however long it is', async (t) => {
  const long = 'x'.repeat(100_000)
  const texts = [
    `${header}${row(long)}`,
    `${header}${row('1', { time: long })}`,
    `${plainLog}${long},,1,1,1,ok,A\n`,
    `${plainLog}2025-07-18T20:42:34Z,1,${long},1,1,ok,A\n`,
    `${plainLog}2025-07-18T20:42:34Z,1,1,${long},1,ok,A\n`,
  ]
  for (const text of texts) {
    const [dead] = read(text).dead
    t.match(dead?.reason, /is "x{60}…": want /)
    t.ok(dead !== undefined && dead.reason.length < 200)
  }
})

test('a header that no format knows is refused with what would be right', async (t) => {
  t.match(formatOf(['a', 'b']), { refused: /the header is "a,b": want a DCGM export .* or a transfer log/ })
  t.match(formatOf(['timestamp', 'metric_name', 'uuid']), { refused: /it lacks value to be a DCGM export/ })
})

test('a further pass shifts times past the first one, and by whole seconds', async (t) => {
  const text = header + row('1', { time: '2025-07-18T20:42:34.5Z' }) + row('1', { time: '2025-07-18T20:43:04.5Z' })
  const periodMs = loopPeriodMs(read(text).times.span)
  t.equal(periodMs, 60_000, 'two points 30 s apart repeat each 60 s')
  t.same(
    read(text, periodMs).records.map(({ time }) => time),
    ['2025-07-18T20:43:34.500Z', '2025-07-18T20:44:04.500Z'],
  )
  t.equal(loopPeriodMs(noSpan), 1000)
  t.equal(loopPeriodMs({ firstMs: 5, lastMs: 5, stepMs: Infinity }), 1000)
})
