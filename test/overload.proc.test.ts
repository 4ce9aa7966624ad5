/**
 * A real API that is asked more than it can answer: what is too much is refused at once with 503 and when to come again, everything else
 * goes on, no memory stays, and behind it all is as before.
 */

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { Pool } from 'undici'
import { gpuRecord } from '#store/samples'
import { formatTime } from '#telemetry/time'
import { fillStore } from './api.ts'
import { startRole, temporaryFolder } from './start.ts'

const requests = process.env['PENSTOCK_TEST_FULL'] === '1' ? 20_000 : 4_000
const connections = 150
const growthMax = 128 * 1024 * 1024
const key = 'a-key-of-the-overload'
const headers = { 'x-api-key': key }
const bounds = { QUERY_RUNNING_MAX: '2', QUERY_WAITING_MAX: '8', QUERY_WAIT_MAX: '2s' }

const startMs = Date.parse('2025-07-18T20:00:00Z')
const stepMs = 10_000
const steps = 180
const metrics = ['DCGM_FI_DEV_GPU_UTIL', 'DCGM_FI_DEV_POWER_USAGE', 'DCGM_FI_DEV_GPU_TEMP']
const uuids = Array.from({ length: 16 }, (_, at) => `GPU-${at}`)

/** The range of all that is stored. */
const range = 'start=2025-07-18T20:00:00Z&end=2025-07-18T20:30:00Z'
const questions: readonly ((at: number) => string)[] = [
  (at) => `/api/v1/gpus/GPU-${at % uuids.length}/telemetry?${range}`,
  (at) => `/api/v1/gpus/GPU-${at % uuids.length}`,
  (at) => `/api/v1/query?metric=${metrics[at % metrics.length]}&group_by=host,gpu&${range}&window=10s`,
  () => '/api/v1/gpus',
  () => '/api/v1/hosts',
  (at) => `/api/v1/gpus?host=host-${at % 4}`,
]

interface Answers {
  readonly byStatus: Map<number, number>
  /** Answers that are none of those that are right. */
  readonly wrong: Set<string>
  worstMs: number
}

test('more is asked than can be answered', { timeout: 300_000 }, async (t) => {
  const dataDir = temporaryFolder(t)
  await fillStore(dataDir, records())
  const broker = await startRole(t, 'broker', { env: { TOPICS: 'telemetry:partitions=1,transfers:partitions=1' } })
  const env = { DATA_DIR: dataDir, API_KEY: key, MSG_QUEUE_ADDR: broker.url, RATE_LIMIT: '10000000', ...bounds }
  const api = await startRole(t, 'api', { env })
  const pool = new Pool(api.url, { connections })
  t.teardown(() => pool.destroy())

  // Twice the same: what the first half leaves behind (compiled code, pools) is not what stays of an overload.
  const first = await flood(pool, requests / 2)
  const before = residentBytes(api.pid)
  const beganMs = performance.now()
  const [second, beside] = await Promise.all([flood(pool, requests / 2), askBeside(api.url)])
  const tookS = (performance.now() - beganMs) / 1000
  const after = residentBytes(api.pid)

  t.same([...first.wrong, ...second.wrong], [])
  const countOf = (status: number) => [first, second].reduce((sum, each) => sum + (each.byStatus.get(status) ?? 0), 0)
  t.ok(countOf(200) > 100, `${countOf(200)} questions are answered`)
  t.ok(countOf(503) > 100, `${countOf(503)} are refused`)
  t.same(beside, [], 'probes, keys, the catalogue, records and the live stream are none of it')
  t.ok(after - before < growthMax, `${mib(before)} resident half way, ${mib(after)} at the end`)

  const figures = await (await fetch(`${api.url}/metrics`)).text()
  const valuesOf = (name: string) =>
    [...figures.matchAll(new RegExp(`^${name}\\{.*\\} (\\d+)$`, 'gm'))].map((match) => Number(match[1]))
  t.same(valuesOf('penstock_api_questions'), [0, 0, 0, 0], 'nobody waits, and nothing is under way')
  t.equal(
    valuesOf('penstock_api_questions_refused_total').reduce((sum, each) => sum + each),
    countOf(503),
  )
  for (const question of questions) t.equal((await fetch(api.url + question(0), { headers })).status, 200, question(0))
  t.same(
    api.logs().filter(({ level }) => level === 'error'),
    [],
  )
  t.comment(
    `${requests / 2} questions in ${tookS.toFixed(1)} s: ${second.byStatus.get(200)} answered, ${second.byStatus.get(503)} refused, ` +
      `the slowest after ${Math.round(second.worstMs)} ms; ${mib(before)}, then ${mib(after)} resident`,
  )

  // It stops under it, too: who was let in has an answer, the others have a refusal or no connection.
  const last = flood(pool, 500)
  await sleep(50)
  t.same(await api.kill('SIGTERM'), { code: 0, signal: null }, api.tail())
  t.same(
    [...(await last).wrong].filter((what) => !what.startsWith('no connection')),
    [],
  )
})

/** Asks so many questions, as many at a time as there are connections. */
async function flood(pool: Pool, count: number): Promise<Answers> {
  const answers: Answers = { byStatus: new Map(), wrong: new Set(), worstMs: 0 }
  let at = 0
  const ask = async (): Promise<void> => {
    while (at < count) {
      const own = at++
      const path = (questions[own % questions.length] as (at: number) => string)(own)
      const beganMs = performance.now()
      try {
        const { statusCode, headers: given, body } = await pool.request({ method: 'GET', path, headers })
        const text = await body.text()
        answers.byStatus.set(statusCode, (answers.byStatus.get(statusCode) ?? 0) + 1)
        const isRight = statusCode === 200 || (statusCode === 503 && isRefusal(given['retry-after'], text))
        if (!isRight) answers.wrong.add(`${path}: ${statusCode} ${text.slice(0, 200)}`)
      } catch (error) {
        answers.wrong.add(`no connection: ${(error as Error).message}`)
      }
      answers.worstMs = Math.max(answers.worstMs, performance.now() - beganMs)
    }
  }
  await Promise.all(Array.from({ length: connections }, ask))
  return answers
}

function isRefusal(retryAfter: unknown, text: string): boolean {
  const { code, detail, retry_after_s } = JSON.parse(text) as Record<string, unknown>
  if (code === 'unavailable') return detail === 'the API is stopping'
  return (
    code === 'overloaded' && /QUERY_(WAITING|WAIT)_MAX/.test(String(detail)) && retryAfter === String(retry_after_s)
  )
}

/** What must go on meanwhile. @returns what did not */
async function askBeside(url: string): Promise<string[]> {
  const failed: string[] = []
  const open = ['/health', '/ready', '/metrics', '/openapi.json']
  const paths = [...open, '/api/v1/metrics', '/api/v1/log-level', '/api/v1/keys', '/api/v1/pipeline', '/api/v1/topics']
  for (const path of paths) {
    const answer = await fetch(url + path, { headers })
    await answer.arrayBuffer()
    if (answer.status !== 200) failed.push(`${path}: ${answer.status}`)
  }
  const post = (path: string, body: object) =>
    fetch(url + path, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  for (const [path, body] of [
    ['/api/v1/keys', { name: 'made meanwhile', scopes: ['read'] }],
    ['/api/v1/telemetry', { metric: metrics[0], value: 42, hostname: 'host-1', gpu_id: '0' }],
  ] as const) {
    const answer = await post(path, body)
    if (!answer.ok) failed.push(`${path}: ${answer.status} ${await answer.text()}`)
  }
  const gone = new AbortController()
  const stream = await fetch(`${url}/api/v1/stream`, { headers, signal: gone.signal })
  const piece = await stream.body?.getReader().read()
  if (stream.status !== 200 || piece?.done !== false) failed.push(`/api/v1/stream: ${stream.status}`)
  gone.abort()
  return failed
}

function records() {
  return uuids.flatMap((uuid, index) =>
    metrics.flatMap((metric) =>
      Array.from({ length: steps }, (_, step) => {
        const time = formatTime({ ms: startMs + step * stepMs, ns: 0 })
        return gpuRecord({
          uuid,
          gpu_id: String(index % 4),
          hostname: `host-${index >> 2}`,
          metric,
          time,
          value: 40 + (step % 30),
        })
      }),
    ),
  )
}

function residentBytes(pid: number): number {
  return 1024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`
}
