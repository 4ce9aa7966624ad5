/**
 * `npm run bench -- api`: what answers take at 10 million stored points (a million with --quick).
 *
 * - alone, one after the other: the newest values of 1,000 GPUs, and a day of one GPU, by HTTP and in turns with what the
 *   handlers ask the store, in this process: what the API adds, by the clock and in processor time.
 * - 25, 50, 100 and 200 requests/s, half of each, beside 20,000 samples/s that are written: p50, p99 and the worst, and how much of a
 *   core the API, the writer and this process took, which share the machine.
 *
 * There the answers come compressed, as nearly all clients ask for them; `BENCH_ENCODING=identity` asks for none.
 *
 * `npm run bench -- api alone`, or `load`, does one of the two. With BENCH_STORE=FOLDER the filled store is kept there, and taken from there by
 * the runs of the next half an hour.
 *
 * A machine that cannot carry these rates is given others by BENCH_REQUESTS (a list), BENCH_SAMPLES and BENCH_SECONDS (of the last
 * rate; the others take a third); --quick takes a tenth of both. The rates are part of each result.
 */

import { join } from 'node:path'
import { Pool } from 'undici'
import { openStore } from '#store/open'
import type { Store } from '#store/store'
import { start, startRole } from '#test/start'
import type { Bench } from '../measure.ts'
import { Scope } from '#test/scope'
import { filledOnce } from './api/fill.ts'
import { load, quantile } from './api/load.ts'

const metric = 'DCGM_FI_DEV_POWER_USAGE'
const dayMs = 86_400_000
const windowMs = 300_000
const key = 'a-key-of-the-benchmark'
const headers = { 'x-api-key': key }
/** As Grafana, browsers and `fetch` ask. Alone nothing is compressed, so that what the API adds is seen. */
const loadHeaders = { ...headers, 'accept-encoding': process.env['BENCH_ENCODING'] ?? 'gzip' }

export async function run(bench: Bench): Promise<void> {
  const { quick, folder, parts, report, say } = bench
  const scale = quick ? 0.1 : 1
  const dataDir = join(folder, 'data')
  const filled = await filledOnce(dataDir, quick ? [metric] : 'all', process.env['BENCH_STORE'])
  say(
    `${filled.points.toLocaleString('en-US')} points of ${filled.uuids.length} GPUs, one each ${filled.stepMs / 1000} s`,
  )
  const scope = new Scope()
  try {
    const env = { DATA_DIR: dataDir, API_KEY: key, MSG_QUEUE_ADDR: 'http://127.0.0.1:9', RATE_LIMIT: '10000000' }
    const api = await startRole(scope, 'api', { env })
    const uuidOf = (index: number) => filled.uuids[index % filled.uuids.length] as string
    const dayOf = (uuid: string) =>
      `/api/v1/gpus/${uuid}/telemetry?metric=${metric}&start=-24h&end=now&window=${windowMs / 60_000}m`
    const paths = {
      'latest-1000-gpus': () => '/api/v1/gpus',
      'day-of-one-gpu': (index: number) => dayOf(uuidOf(index)),
    }

    if (parts.length === 0 || parts.includes('alone')) {
      const store = await openStore({ dataDir }, { readOnly: true })
      await alone(bench, api.url, store, { paths, uuidOf })
      await store.close()
    }
    if (parts.length > 0 && !parts.includes('load')) return

    const perSeconds = ratesOf(
      'BENCH_REQUESTS',
      [25, 50, 100, 200].map((rate) => rate * scale),
    )
    const samples = settingOf('BENCH_SAMPLES', 20_000 * scale)
    const seconds = settingOf('BENCH_SECONDS', quick ? 15 : 60)
    const script = join(import.meta.dirname, 'api/writer.ts')
    const writer = start(scope, process.execPath, [script, dataDir, String(samples)])
    await writer.waitFor(/written/)
    const ask = (index: number) => {
      const [kind, pathOf] = Object.entries(paths)[index % 2] as [string, (index: number) => string]
      return [kind, pathOf(index >> 1)] as const
    }
    // What is compiled late, and pages that are read for the first time, are no part of it.
    await load({ url: api.url, headers: loadHeaders, perSecond: perSeconds[0] as number, seconds: 3, ask })
    for (const perSecond of perSeconds) {
      const isLast = perSecond === perSeconds.at(-1)
      const [before, beganMs] = [await spent(api.url, writer.stdout), performance.now()]
      const asked = { url: api.url, headers: loadHeaders, perSecond, seconds: isLast ? seconds : seconds / 3, ask }
      const { byKind, failed, bytes, lateMs } = await load(asked)
      const tookS = (performance.now() - beganMs) / 1000
      const after = await spent(api.url, writer.stdout)
      const coresOf = (who: 'api' | 'writer' | 'client') =>
        Number(((after[who] - before[who]) / tookS / 1000).toFixed(2))
      const rates = {
        requests_per_s: perSecond,
        samples_per_s: Math.round((after.written - before.written) / tookS),
        samples_per_s_wanted: samples,
        points: filled.points,
        failed,
        cores: { api: coresOf('api'), writer: coresOf('writer'), client: coresOf('client') },
      }
      for (const [kind, latencies] of byKind) {
        for (const [name, share] of Object.entries({ p50: 0.5, p99: 0.99, worst: 1 })) {
          const goal = name === 'p99' ? { peer: 'goal', peer_value: 25 } : {}
          const work = `${kind}-${name}-at-${perSecond}`
          report({ work, unit: 'ms', value: quantile(latencies, share), ...goal, ...rates })
        }
      }
      const { api: ofApi, writer: ofWriter, client } = rates.cores
      say(
        `${perSecond}/s: ${failed} failed; ${(bytes / 1e6).toFixed(0)} MB in ${tookS.toFixed(1)} s; sent ${lateMs.toFixed(0)} ms late ` +
          `at worst; cores: api ${ofApi}, writer ${ofWriter}, this process ${client}`,
      )
    }
  } finally {
    await scope.end()
  }
}

interface Asked {
  readonly paths: Readonly<Record<string, (index: number) => string>>
  readonly uuidOf: (index: number) => string
}

/** One after the other, over HTTP and from the store in turns, so that a machine that slows down slows both. */
async function alone({ quick, report }: Bench, url: string, store: Store, { paths, uuidOf }: Asked): Promise<void> {
  const rounds = quick ? 30 : 300
  // Until V8 has compiled what is asked again and again, on both sides: an answer took thrice as long in the first hundred.
  const warming = quick ? 30 : 200
  const pool = new Pool(url, { connections: 1 })
  const end = { ms: Date.now(), ns: 0 }
  const start = { ms: end.ms - dayMs, ns: 0 }
  const asks: Readonly<Record<string, (index: number) => Promise<unknown>>> = {
    'latest-1000-gpus': async () => [await store.gpus({}), await store.latest({})],
    'day-of-one-gpu': async (index) => {
      const uuid = uuidOf(index)
      return [await store.gpus({ uuid }), await store.range({ metric, uuid, start, end, windowMs, limit: 1001 })]
    },
  }
  for (const [kind, pathOf] of Object.entries(paths)) {
    const took: { http: number[]; store: number[] } = { http: [], store: [] }
    let [storeCpuMs, apiCpuMs] = [0, 0]
    for (let round = -warming; round < rounds; round++) {
      const beganMs = performance.now()
      const { body, statusCode } = await pool.request({ method: 'GET', path: pathOf(round + warming), headers })
      await body.arrayBuffer()
      const answeredMs = performance.now()
      if (statusCode !== 200) throw new Error(`${pathOf(round + warming)}: ${statusCode}`)
      const beganCpu = process.cpuUsage()
      await asks[kind]?.(round + warming)
      const { user, system } = process.cpuUsage(beganCpu)
      const askedMs = performance.now()
      if (round === -1) apiCpuMs = await cpuMsOf(url)
      if (round < 0) continue
      storeCpuMs += (user + system) / 1000
      took.http.push(answeredMs - beganMs)
      took.store.push(askedMs - answeredMs)
    }
    const median = (list: number[]) =>
      quantile(
        list.toSorted((a, b) => a - b),
        0.5,
      )
    report({
      work: `${kind}-alone`,
      unit: 'ms',
      value: median(took.http),
      peer: 'the store itself',
      peer_value: median(took.store),
    })
    // Whatever else the machine does: processor time of the two processes, of an answer and of what it asks the store.
    report({
      work: `${kind}-processor-time`,
      unit: 'ms',
      value: ((await cpuMsOf(url)) - apiCpuMs) / rounds,
      peer: 'the store itself',
      peer_value: storeCpuMs / rounds,
    })
  }
  await pool.close()
}

async function cpuMsOf(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  return 1000 * Number(/^process_cpu_seconds_total\S* (\S+)$/m.exec(text)?.[1])
}

/** Processor time in ms, and what was written. */
async function spent(url: string, lines: readonly string[]) {
  const { user, system } = process.cpuUsage()
  return {
    api: await cpuMsOf(url),
    writer: toldBy(lines).cpu_ms,
    client: (user + system) / 1000,
    written: toldBy(lines).written,
  }
}

function ratesOf(name: string, fallback: readonly number[]): readonly number[] {
  const given = process.env[name]?.split(',').map(Number) ?? fallback
  if (!given.every((rate) => rate > 0))
    throw new Error(`${name}=${process.env[name]}: want numbers above 0, such as 50,100`)
  return given
}

function settingOf(name: string, fallback: number): number {
  const given = Number(process.env[name] ?? fallback)
  if (!(given > 0)) throw new Error(`${name}=${process.env[name]}: want a number above 0`)
  return given
}

/** The last line of the writer. */
function toldBy(lines: readonly string[]) {
  return { written: 0, cpu_ms: 0, ...(JSON.parse(lines.at(-1) ?? '{}') as { written?: number; cpu_ms?: number }) }
}
