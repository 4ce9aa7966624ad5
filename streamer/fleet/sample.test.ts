import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { test } from 'tap'
import type { GpuRecord } from '#telemetry/record'
import { Fleet } from './fleet.ts'
import { fleetMetrics, xidTotal } from './metrics.ts'
import { sampleFiles, type SampleOptions } from './sample.ts'

const options: SampleOptions = {
  seed: 1,
  hosts: 3,
  gpusPerHost: 8,
  startMs: Date.UTC(2026, 0, 15, 9),
  stepMs: 30_000,
  steps: 60,
}
const gpuFile = 'dcgm_metrics_20260115_090000.csv'
const transferFile = 'transfers_20260115_090000.csv'

function filesOf(given: SampleOptions): Map<string, string> {
  const files = new Map<string, string>()
  for (const { file, text } of sampleFiles(given)) files.set(file, (files.get(file) ?? '') + text)
  return files
}

/** RFC 4180, one character at a time. */
function readCsv(text: string): string[][] {
  const rows: string[][] = []
  let [row, field, quoted]: [string[], string, boolean] = [[], '', false]
  for (let i = 0; i < text.length; i++) {
    const c = text[i] as string
    if (quoted && c === '"' && text[i + 1] === '"') field += text[++i]
    else if (c === '"') quoted = !quoted
    else if (quoted || (c !== ',' && c !== '\n')) field += c
    else {
      row.push(field)
      field = ''
      if (c === '\n') {
        rows.push(row)
        row = []
      }
    }
  }
  return rows
}

/** `a="1",b="2"`, in which no text has a comma or a quote. */
function labelsOf(raw: string): Record<string, string> {
  return Object.fromEntries(raw.split(',').map((part) => [part.split('=')[0], part.split('"')[1]])) as Record<
    string,
    string
  >
}

function rawOf({ labels, ...record }: GpuRecord): string {
  const all = {
    DCGM_FI_DRIVER_VERSION: labels.driver_version,
    Hostname: record.hostname,
    UUID: record.uuid,
    __name__: record.metric,
    device: record.device_id,
    gpu: record.gpu_id,
    hpc_job: labels.hpc_job,
    instance: labels.instance,
    job: labels.job,
    modelName: record.model_name,
    container: record.container,
    namespace: record.namespace,
    pod: record.pod,
    xid: labels.xid,
  }
  const known = Object.entries(all).filter(([, text]) => text !== undefined && text !== '')
  return known.map(([name, text]) => `${name}="${text}"`).join(',')
}

function sorted(labels: Record<string, string>): boolean {
  return isDeepStrictEqual(Object.keys(labels), Object.keys(labels).sort())
}

test('the same seed gives the same bytes, on every machine and in every version', (t) => {
  const hashes = (given: SampleOptions): Record<string, string> =>
    Object.fromEntries(
      [...filesOf(given)].map(([file, text]) => [file, createHash('sha256').update(text).digest('hex').slice(0, 16)]),
    )
  // A change of these is a change for everyone who named a seed: say so in CHANGELOG.md.
  t.same(hashes({ ...options, metrics: fleetMetrics, transferLayout: 'rich' }), {
    [gpuFile]: 'd526809b7350fc55',
    [transferFile]: 'dd15f0349eae53af',
  })
  t.not(hashes({ ...options, seed: 2 })[gpuFile], hashes(options)[gpuFile])
  t.not(hashes({ ...options, seed: 2 })[transferFile], hashes(options)[transferFile])
  t.end()
})

test('the export reads back as the values of the fleet, in the columns and quotes of real ones', (t) => {
  const metrics = fleetMetrics
  const text = filesOf({ ...options, metrics }).get(gpuFile) as string
  const [header, ...lines] = text.trimEnd().split('\n')
  t.equal(
    header,
    'timestamp,metric_name,gpu_id,device,uuid,modelName,Hostname,container,pod,namespace,value,labels_raw',
  )
  t.match(
    lines[0],
    /^"2026-01-15T09:00:00Z","DCGM_FI_DEV_GPU_UTIL","0","nvidia0","GPU-[-0-9a-f]{36}","NVIDIA H100 80GB HBM3","gpu-a01",("[-a-z0-9]*",){3}"\d+","DCGM_FI_DRIVER_VERSION=""[.0-9]+"",Hostname=""gpu-a01"",UUID=""GPU-[-0-9a-f]{36}"",__name__=""DCGM_FI_DEV_GPU_UTIL"",/,
  )
  const fleet = new Fleet({ ...options, metrics })
  const rows = readCsv(text).slice(1)
  const records = Array.from({ length: options.steps }, () => fleet.step().gpu).flat()
  t.equal(rows.length, records.length)
  const read = rows.map((row) => {
    const [time, metric, gpu_id, device_id, uuid, model_name, hostname, container, pod, namespace, value, raw] = row
    const blank = value === '' || value === '[N/A]'
    const known = { time, metric, gpu_id, device_id, uuid, model_name, hostname, container, pod, namespace }
    return { kind: 'gpu', ...known, value: blank ? null : Number(value), labels: labelsOf(raw as string) }
  })
  const wanted = records.map((record) => ({ ...record, labels: labelsOf(rawOf(record)) }))
  const wrong = read.findIndex((row, i) => !isDeepStrictEqual(row, { ...wanted[i] }))
  if (wrong >= 0) t.same(read[wrong], wanted[wrong], `row ${wrong}`)
  t.ok(rows.every((row) => row.length === 12 && sorted(labelsOf(row[11] as string))))
  t.ok(
    read.some(({ value }) => value === null),
    'some are not reported',
  )
  t.ok(read.some(({ pod }) => pod !== '') && read.some(({ labels }) => labels.hpc_job !== undefined))
  t.ok(rows.some((row) => row[1] === xidTotal))
  t.end()
})

test('the other layout has the names of a relabelled export', (t) => {
  const rows = readCsv(filesOf({ ...options, dcgmLayout: 'exported', steps: 2 }).get(gpuFile) as string)
  const plain = readCsv(filesOf({ ...options, steps: 2 }).get(gpuFile) as string)
  t.equal(
    rows[0]?.join(),
    'timestamp,metric_name,gpu_id,device,uuid,modelName,hostname,exported_container,exported_pod,exported_namespace,GPU_I_ID,GPU_I_PROFILE,value,labels_raw',
  )
  t.ok(rows.every((row) => row.length === 14))
  t.same(
    rows.slice(1).map((row) => [...row.slice(0, 10), row[12]]),
    plain.slice(1).map((row) => row.slice(0, 11)),
  )
  t.ok(rows.some((row) => (row[13] as string).includes('exported_pod="')))
  t.end()
})

test('the transfer log reads back as the transfers of the fleet', (t) => {
  const fleet = new Fleet(options)
  const records = Array.from({ length: options.steps }, () => fleet.step().transfers).flat()
  const rich = readCsv(filesOf({ ...options, transferLayout: 'rich' }).get(transferFile) as string)
  const plain = readCsv(filesOf(options).get(transferFile) as string)
  t.equal(plain[0]?.join(), 'timestamp_iso,timestamp_unix,bytes,duration,throughput_bytes_per_sec,status,site')
  t.same(
    rich.map((row) => row.slice(0, 7)),
    plain,
  )
  t.equal(plain.length, records.length + 1)
  const names = rich[0] as string[]
  const read = rich.slice(1).map((row) => {
    const named = Object.fromEntries(row.map((field, f) => [names[f] as string, field]))
    const { timestamp_iso, timestamp_unix, duration, throughput_bytes_per_sec, error_class, ...texts } = named
    t.equal(Math.round(Number(timestamp_unix) * 1000), Date.parse(timestamp_iso as string))
    const bytes = Number(texts.bytes)
    t.ok(Math.abs(Number(throughput_bytes_per_sec) - bytes / Number(duration)) <= 1)
    const [attempt, final] = [Number(texts.attempt), texts.final === 'true']
    const record = {
      ...texts,
      kind: 'transfer',
      time: timestamp_iso,
      bytes,
      duration_s: Number(duration),
      attempt,
      final,
    }
    return error_class === '' ? record : { ...record, error_class }
  })
  t.same(read, records)
  t.notOk(filesOf({ ...options, steps: 1, transfersPerMinute: 0 }).has(transferFile))
  t.throws(() => filesOf({ ...options, steps: 0 }), /steps=0: want a whole number from 1/)
  t.end()
})

test('a piece is bounded, however large the fleet', (t) => {
  let rows = 0
  for (const piece of sampleFiles({ ...options, hosts: 500, steps: 2, metrics: fleetMetrics })) {
    rows += piece.rows
    if (piece.rows > 5000 || piece.text.length > 4_000_000)
      t.fail(`${piece.rows} rows, ${piece.text.length} characters`)
  }
  t.ok(rows > 200_000)
  t.end()
})
