// Runs in a pod of the cluster, beside the release: makes load, counts what is stored, knocks at doors. One line of JSON each.
//
//   node work.mjs load RUN SECONDS RATE    sends, and tells how many records were acknowledged
//   node work.mjs stored RUN               how many of them the API has
//   node work.mjs ask PATH [KEY]           status and body of a question to the API
//   node work.mjs knock URL                whether a connection comes about within 3 s

import { readFileSync } from 'node:fs'

const { PROXY_URL, API_URL } = process.env
const [, , what, ...args] = process.argv
const secret = (name) => readFileSync(`/run/secrets/penstock/${name}`, 'utf8').trim().split(',')[0]
const metric = 'DCGM_FI_DEV_GPU_TEMP'
/** Several, so that every partition has some. */
const gpus = (run) => Array.from({ length: 16 }, (_, at) => `GPU-${run}-${at}`)
/** The times of a run are its own: milliseconds from here on, one a record. */
const epochMs = Date.parse('2026-01-01T00:00:00Z')
const works = { load, stored, ask, knock }

console.log(JSON.stringify(await works[what](...args)))

async function load(run, seconds, rate) {
  const endMs = Date.now() + Number(seconds) * 1_000
  const sums = await Promise.all(gpus(run).map((uuid) => send(uuid, endMs, Number(rate) / 16)))
  const sum = (key) => sums.reduce((total, each) => total + each[key], 0)
  return { acknowledged: sum('acknowledged'), refused: sum('refused') }
}

async function send(uuid, endMs, rate) {
  const authorization = `Bearer ${secret('service-token')}`
  const batch = Math.max(1, Math.round(rate / 4))
  let acknowledged = 0
  let refused = 0
  while (Date.now() < endMs) {
    const startedMs = Date.now()
    const body = Array.from({ length: batch }, (_, at) => record(uuid, acknowledged + at)).join('\n')
    // What was not acknowledged is sent again: the same records, so the same points.
    for (const giveUpMs = Date.now() + 120_000; ;) {
      const isTaken = await fetch(`${PROXY_URL}/produce?topic=telemetry&key=${uuid}`, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/x-ndjson' },
        body,
        signal: AbortSignal.timeout(30_000),
      }).then(
        async (answer) => (await answer.text(), answer.ok),
        () => false,
      )
      if (isTaken) break
      if (Date.now() > giveUpMs) return { acknowledged, refused }
      refused += 1
      await sleep(200)
    }
    acknowledged += batch
    await sleep(Math.max(0, 250 - (Date.now() - startedMs)))
  }
  return { acknowledged, refused }
}

function record(uuid, at) {
  const time = new Date(epochMs + at).toISOString()
  return JSON.stringify({
    kind: 'gpu',
    time,
    device_id: 'nvidia0',
    metric,
    value: at % 90,
    gpu_id: '0',
    uuid,
    hostname: 'load',
  })
}

async function stored(run) {
  let count = 0
  for (const uuid of gpus(run)) {
    const range = 'start=2026-01-01T00:00:00Z&end=2026-01-02T00:00:00Z&window=1d&fn=count'
    const { status, body } = await ask(`/api/v1/gpus/${uuid}/telemetry?metric=${metric}&${range}`)
    if (status === 404) continue
    if (status !== 200) throw new Error(`${status} ${body}`)
    for (const { values } of JSON.parse(body).series) for (const value of values) count += value.value ?? 0
  }
  return { stored: count }
}

async function ask(path, key = secret('api-key')) {
  const answer = await fetch(API_URL + path, { headers: { 'x-api-key': key }, signal: AbortSignal.timeout(30_000) })
  return { status: answer.status, body: await answer.text() }
}

async function knock(url) {
  return fetch(url, { signal: AbortSignal.timeout(3_000) }).then(
    (answer) => ({ open: true, status: answer.status }),
    (error) => ({ open: false, why: error.cause?.code ?? error.name }),
  )
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
