// `helm test`: one record goes in by the proxy, is read from the stream by a group of its own, and is asked for at the API.

import { readFileSync } from 'node:fs'
import * as http from 'node:http'
import * as https from 'node:https'

const { PROXY_URL, API_URL, TOPIC, TLS_CA, TLS_CLIENT_CERT, TLS_CLIENT_KEY } = process.env
// fetch would show no certificate.
const file = (path) => (path === undefined ? undefined : readFileSync(path))
const tls = { ca: file(TLS_CA), cert: file(TLS_CLIENT_CERT), key: file(TLS_CLIENT_KEY) }
const secret = (name) => readFileSync(`/run/secrets/penstock/${name}`, 'utf8').trim()
// The first of several is the one to send.
const token = secret('service-token').split(',')[0]
const key = secret('api-key').split(',')[0]
const asRole = { authorization: `Bearer ${token}` }
const time = new Date().toISOString()
const group = `helm-test-${Date.now()}`
const uuid = 'GPU-00000000-helm-test'
const record = {
  kind: 'gpu',
  time,
  device_id: 'nvidia0',
  metric: 'DCGM_FI_DEV_GPU_UTIL',
  value: 42,
  gpu_id: '0',
  uuid,
  model_name: 'helm test',
  hostname: 'helm-test',
}

// From the end: the group must be there before the record is.
const consume = `${PROXY_URL}/consume?topic=${TOPIC}&group=${group}&mode=shared&from=latest`
const pull = (waitMs) =>
  ask(`${consume}&max=1000&wait_ms=${waitMs}`, { headers: { ...asRole, accept: 'application/x-ndjson' } })
await pull(0)

const produced = await ask(`${PROXY_URL}/produce?topic=${TOPIC}&key=${uuid}`, {
  method: 'POST',
  headers: { ...asRole, 'content-type': 'application/json' },
  body: JSON.stringify(record),
})
console.log(`produced: ${produced.trim()}`)

await until('consumed', async () => {
  const lines = (await pull(2_000)).split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line)).find(({ data }) => data.includes(time) && data.includes(uuid))?.id
})
await ask(`${PROXY_URL}/topics/${TOPIC}/groups/${group}`, { method: 'DELETE', headers: asRole })

await until('stored and answered by the API', async () => {
  const from = new Date(Date.parse(time) - 1).toISOString()
  const query = `metric=DCGM_FI_DEV_GPU_UTIL&start=${from}&end=${new Date(Date.now() + 60_000).toISOString()}`
  const { status, text } = await send(`${API_URL}/api/v1/gpus/${uuid}/telemetry?${query}`, {
    headers: { 'x-api-key': key },
  })
  if (status === 404) return undefined
  if (status !== 200) throw new Error(`the API: ${status} ${text}`)
  return text.includes('42') ? `${status}` : undefined
})

const open = await send(`${API_URL}/api/v1/gpus`)
if (open.status !== 401) throw new Error(`the API answers without a key: ${open.status}`)
console.log('without a key: refused')

async function ask(url, init) {
  const { status, text } = await send(url, init)
  if (status < 200 || status > 299) throw new Error(`${init.method ?? 'GET'} ${url}: ${status} ${text}`)
  return text
}

async function send(url, { method = 'GET', headers = {}, body } = {}) {
  const { request } = url.startsWith('https:') ? https : http
  const answer = await new Promise((resolve, reject) => {
    const sent = request(url, { ...tls, method, headers, signal: AbortSignal.timeout(30_000) }, resolve)
    sent.on('error', reject)
    sent.end(body)
  })
  let text = ''
  for await (const piece of answer.setEncoding('utf8')) text += piece
  return { status: answer.statusCode, text }
}

async function until(what, look) {
  const deadline = Date.now() + 60_000
  for (;;) {
    const found = await look()
    if (found !== undefined) return console.log(`${what}: ${found}`)
    if (Date.now() > deadline) throw new Error(`not ${what} within a minute`)
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
}
