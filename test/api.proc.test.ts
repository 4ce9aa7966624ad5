/**
 * From a file to the answers of the API, through real processes: every value is held against the file, read by an obvious
 * reader, and every `curl` line of docs/API.md is run.
 */

import { execFile } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { t as file, test } from 'tap'
import type { Fleet, GpuList, Host, Pipeline, Telemetry } from '#api/contract'
import { sampleFiles } from '#streamer/fleet/sample'
import { root, type Scope, startRole, temporaryFolder } from './start.ts'
import { skipWithout, tools } from './tools.ts'
import { until } from './until.ts'

const sample = join(root, '../shared/data/dcgm_metrics_20250718_134233.csv')
const key = 'a-key-for-the-test'

interface Row {
  readonly time: string
  readonly metric: string
  readonly gpuId: string
  readonly uuid: string
  readonly host: string
  readonly value: number | null
}

// Four processes start, and each curl is one more, on two shared cores.
file.setTimeout(600_000)

test('what the API answers is what the file says', { timeout: 590_000 }, async (t) => {
  const isSample = existsSync(sample)
  const csv = isSample ? sample : madeUp(t)
  const rows = rowsOf(csv)
  const broker = await startRole(t, 'broker', { env: { BROKER_INDEX: '0' } })
  const common = { MSG_QUEUE_ADDR: broker.url }
  const collector = await startRole(t, 'collector', { env: common })
  const streamer = await startRole(t, 'streamer', { env: { ...common, CSV: csv } })
  const api = await startRole(t, 'api', {
    env: {
      ...common,
      API_KEY: key,
      DATA_DIR: collector.dataDir,
      COLLECTOR_URL: collector.url,
      STREAMER_URL: streamer.url,
    },
  })
  const ask = async <T>(path: string): Promise<T> => {
    const answer = await fetch(api.url + path, { headers: { 'x-api-key': key } })
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return (await answer.json()) as T
  }
  const settled = ({ store }: Pipeline) => store.received === rows.length
  const pipeline = await until(() => ask<Pipeline>('/api/v1/pipeline'), settled)
  t.match(pipeline, { totals: { dead: 0 }, brokers: [{ broker: 0, state: 'up' }], streamer: { read: rows.length } })

  const { gpus } = await ask<GpuList>('/api/v1/gpus')
  const wrong: string[] = []
  const byUuid = new Map(gpus.map((gpu) => [gpu.uuid, gpu]))
  for (const row of rows) {
    const gpu = byUuid.get(row.uuid)
    const got = gpu?.values[row.metric]
    const isSame =
      gpu?.hostname === row.host && gpu.gpu_id === row.gpuId && got?.value === row.value && got.time === row.time
    if (!isSame && wrong.length < 10) wrong.push(`${JSON.stringify(row)}: ${JSON.stringify(got)}`)
  }
  t.same(wrong, [], 'every value of the list is that of the file')
  t.equal(gpus.flatMap((gpu) => Object.keys(gpu.values)).length, rows.length, 'and there are no others')
  t.equal(gpus.length, new Set(rows.map(({ uuid }) => uuid)).size)

  const { hosts } = await ask<{ hosts: Host[] }>('/api/v1/hosts')
  t.same(
    hosts.map(({ hostname }) => hostname),
    [...new Set(rows.map(({ host }) => host))].toSorted(byText),
  )

  const one = gpus[Math.floor(gpus.length / 2)] as GpuList['gpus'][number]
  for (const id of [one.uuid, `${one.hostname}:${one.gpu_id}`]) {
    const { series } = await ask<Telemetry>(`/api/v1/gpus/${id}/telemetry`)
    const got = series.flatMap(({ metric, values }) => values.map(({ time, value }) => `${metric} ${time} ${value}`))
    const want = rows.filter(({ uuid }) => uuid === one.uuid).map((row) => `${row.metric} ${row.time} ${row.value}`)
    t.same(got.toSorted(byText), want.toSorted(byText), `${id}: its series are those of the file`)
  }

  const fleet = await ask<Fleet>('/api/v1/fleet')
  const powers = rows.filter(({ metric }) => metric === 'DCGM_FI_DEV_POWER_USAGE').map(({ value }) => value ?? 0)
  t.ok(Math.abs((fleet.power_w ?? 0) - powers.reduce((a, b) => a + b, 0)) < 1e-6, 'fleet power')
  if (isSample) {
    t.same([fleet.gpus, fleet.hosts, ((fleet.power_w ?? 0) / 1000).toFixed(1)], [247, 31, '65.0'])
    t.equal(fleet.idle_full_gpus, 21)
    t.same(
      gpus.filter(({ hostname, gpu_id }) => hostname.endsWith('-012') && gpu_id === '6'),
      [],
    )
  }

  await t.test('every curl line of docs/API.md works', { skip: skipWithout(tools.curl) }, async (t) => {
    const folder = temporaryFolder(t)
    // A refusal fails the line, and so does an answer that does not come.
    writeFileSync(join(folder, '.curlrc'), 'fail-with-body\nmax-time = 20\n')
    const made = await fetch(`${api.url}/api/v1/keys`, {
      method: 'POST',
      headers: { 'x-api-key': key, 'content-type': 'application/json' },
      body: '{"name":"of the docs","scopes":["read"]}',
    })
    const { key: of } = (await made.json()) as { key: { id: string } }
    const env = {
      PATH: process.env['PATH'] ?? '',
      CURL_HOME: folder,
      API: api.url,
      KEY: key,
      ID: of.id,
      GPU: `${one.hostname}:${one.gpu_id}`,
    }
    const lines = curlLines(readFileSync(join(root, 'docs/API.md'), 'utf8'))
    t.ok(lines.length >= 20, `${lines.length} lines`)
    for (const line of lines) {
      const { stdout } = await promisify(execFile)('bash', ['-o', 'errexit', '-c', line], { env, maxBuffer: 2 ** 26 })
      t.ok(stdout.length > 10, line.slice(0, 110))
    }
    const posted = await until(
      () => ask<GpuList>('/api/v1/gpus?host=worker-node-1'),
      (answer) => answer.gpus.length === 2,
    )
    t.match(posted.gpus.find(({ uuid }) => uuid.startsWith('12345678'))?.values, { temperature: { value: 75.5 } })
  })
})

/** A fleet that does not exist, in the format of the sample. */
function madeUp(t: Scope): string {
  const folder = temporaryFolder(t)
  const startMs = Date.parse('2026-01-01T00:00:00Z')
  let path = ''
  for (const { file, text } of sampleFiles({
    seed: 4,
    hosts: 31,
    gpusPerHost: 8,
    startMs,
    stepMs: 1000,
    steps: 1,
    transfersPerMinute: 0,
  })) {
    path = join(folder, file)
    appendFileSync(path, text)
  }
  return path
}

/** The rows of an export whose fields are quoted, with no quotes in them but in the last one, which nothing here needs. */
function rowsOf(path: string): Row[] {
  const lines = readFileSync(path, 'utf8').split('\n').slice(1)
  return lines.flatMap((line) => {
    const fields = line.split('","').map((field) => field.replace(/^"|"$/g, ''))
    if (fields.length < 11) return []
    const [time, metric, gpuId, , uuid, , host, , , , text] = fields as [string, string, string, ...string[]]
    const value = text === '' || text === '[N/A]' ? null : Number(text)
    return [{ time, metric, gpuId, uuid: uuid as string, host: host as string, value }]
  })
}

/** Each `curl` of the fenced blocks, with the lines that it goes on in. */
function curlLines(markdown: string): string[] {
  const blocks = [...markdown.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1] as string)
  return blocks.flatMap((block) => block.split(/^(?=curl )/m).filter((part) => part.startsWith('curl ')))
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
