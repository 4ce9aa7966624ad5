/**
 * What k6 runs, as it stands: k6 takes the types off by itself. `npm run loadtest` gives it the addresses, the profile and the
 * works by the environment.
 */

import { check, fail, sleep } from 'k6'
import exec from 'k6/execution'
import http, { type RefinedResponse, type ResponseType } from 'k6/http'
import { Counter, Rate } from 'k6/metrics'

import { outcomeOf } from '../outcome.ts'
import {
  batchRecords,
  lasting,
  profiles,
  pullRecords,
  questions,
  scenariosOf,
  secondsOf,
  thresholdsOf,
  type ProfileName,
  type Question,
  type Work,
} from '../profiles.ts'
import { gpus, metric, recordOf, uuidOf } from './records.ts'

const brokers = given('BROKERS').split(',')
const proxy = given('PROXY')
const api = given('API')
const apiKey = given('API_KEY')
const chosen = given('WORKS').split(',') as Work[]
const named = profiles[given('PROFILE') as ProfileName]
const profile = lasting(named, Number(__ENV['SECONDS'] ?? secondsOf(named)))

const topic = 'telemetry'
const group = 'loadtest'

export const options = {
  scenarios: scenariosOf(profile, chosen),
  thresholds: thresholdsOf(profile, chosen),
  summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
}

/** Records: sent, answered with 200, answered with anything else, and those whose request got no answer. */
const offered = new Counter('records_offered')
const acknowledged = new Counter('records_acknowledged')
const refused = new Counter('records_refused')
const unanswered = new Counter('records_unanswered')
/** Of all requests: k6's own `http_req_failed` takes a refusal for a failure. */
const failedRequests = new Rate('requests_failed')
const refusedRequests = new Rate('requests_refused')
/** Records that a group was given, and acknowledged. */
const consumed = new Counter('records_consumed')

/** Every GPU has a first value before somebody asks for it, and the group is made before anything is pulled. */
export function setup(): { readonly startMs: number } {
  const startMs = Date.now()
  const first = Array.from({ length: gpus }, (_, n) => recordOf('setup', n, startMs))
  post(proxy, first, `key=${uuidOf('setup', 0)}`)
  http.get(`${proxy}/consume?topic=${topic}&group=${group}&mode=shared&max=0`, { headers: lines })
  for (let tries = 0; tries < 100; tries++) {
    const answer = http.get(`${api}/api/v1/gpus?limit=1000`, { headers: key })
    if (answer.status === 200 && (answer.json('gpus') as unknown[] | undefined)?.length === gpus) return { startMs }
    sleep(0.2)
  }
  fail('the first records are not in the API within 20 s')
}

export function single_proxy(data: { startMs: number }): void {
  single(proxy, 'single_proxy', data.startMs)
}

export function single_direct(data: { startMs: number }): void {
  single(broker(), 'single_direct', data.startMs)
}

export function batch_proxy(data: { startMs: number }): void {
  batch(proxy, 'batch_proxy', data.startMs)
}

export function batch_direct(data: { startMs: number }): void {
  batch(broker(), 'batch_direct', data.startMs)
}

export function pull(): void {
  const where = `topic=${topic}&group=${group}&mode=shared`
  const answer = http.get(`${proxy}/consume?${where}&max=${pullRecords}&wait_ms=200`, { headers: lines })
  if (!isDone(answer, 'pull is answered')) return
  const text = typeof answer.body === 'string' ? answer.body : ''
  const ids = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { id: string }).id)
  if (ids.length === 0) return
  const acked = http.post(`${proxy}/ack?topic=${topic}&group=${group}`, JSON.stringify({ ids }), { headers: json })
  if (isDone(acked, 'what was pulled is acknowledged')) consumed.add(ids.length)
}

export function query(): void {
  const uuid = uuidOf('setup', exec.scenario.iterationInTest)
  const paths: Record<Question, string> = {
    fleet: '/api/v1/fleet',
    gpus: '/api/v1/gpus?limit=50',
    one_gpu: `/api/v1/gpus/${uuid}/telemetry?metric=${metric}&start=-15m&window=10s`,
    // Ten seconds of a load test are as many points as a quarter of an hour of a fleet: a GPU has 20 of them a second here.
    by_host: `/api/v1/query?metric=${metric}&group_by=host&start=-10s&window=1s`,
  }
  const question = questions[exec.scenario.iterationInTest % questions.length] as Question
  // The name keeps one metric for each question, whatever GPU it is about.
  const answer = http.get(api + paths[question], { headers: key, tags: { name: question, question } })
  isDone(answer, 'the API answers')
}

function single(url: string, work: Work, startMs: number): void {
  const n = exec.scenario.iterationInTest
  post(url, [recordOf(work, n, startMs)], `key=${uuidOf(work, n)}`)
}

function batch(url: string, work: Work, startMs: number): void {
  const n = exec.scenario.iterationInTest * batchRecords
  const records = Array.from({ length: batchRecords }, (_, at) => recordOf(work, n + at, startMs))
  post(url, records, `key=${work}-${exec.scenario.iterationInTest}`)
}

/** Sent once: what is refused, or not answered, is counted as that, and not sent again. */
function post(url: string, records: readonly string[], where: string): void {
  offered.add(records.length)
  const answer = http.post(`${url}/produce?topic=${topic}&${where}`, records.join('\n'), { headers: ndjson })
  const count = answer.status === 200 ? Number(answer.json('count')) : 0
  acknowledged.add(count)
  if (answer.status === 0) unanswered.add(records.length)
  else refused.add(records.length - count)
  isDone(answer, 'a batch is acknowledged whole', () => count === records.length)
}

/** Counts a request as done, refused or failed. What is refused passes no check and crosses none. */
function isDone(answer: RefinedResponse<ResponseType | undefined>, what: string, isWhole = () => true): boolean {
  const outcome = outcomeOf(answer.status, answer.headers['Retry-After'], answer.body)
  refusedRequests.add(outcome === 'refused')
  failedRequests.add(outcome === 'failed')
  return outcome !== 'refused' && check(answer, { [what]: () => outcome === 'done' && isWhole() })
}

function broker(): string {
  return brokers[exec.scenario.iterationInTest % brokers.length] as string
}

function given(name: string): string {
  const value = __ENV[name]
  if (value === undefined || value === '') throw new Error(`${name} is not set: run npm run loadtest`)
  return value
}

const ndjson = { 'content-type': 'application/x-ndjson' }
const json = { 'content-type': 'application/json' }
const lines = { accept: 'application/x-ndjson' }
const key = { 'x-api-key': apiKey }
