import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'tap'
import { openStore } from '#store/open'
import { gpuRecord, transferRecord } from '#store/samples'
import { testApi, testKey } from '#test/api'
import { newAuthority } from '#test/certificates'
import { temporaryFolder } from '#test/start'
import { skipWithout, tools } from '#test/tools'
import type { Io } from '../command.ts'
import { query } from './query.ts'

const nowMs = Date.parse('2025-07-18T20:43:00Z')
const power = 'DCGM_FI_DEV_POWER_USAGE'
const records = [
  ...[100, 700, 400].map((value, at) => gpuRecord({ metric: power, value, time: `2025-07-18T20:4${at}:00Z` })),
  gpuRecord({ value: 50 }),
  gpuRecord({ uuid: 'GPU-b', gpu_id: '1', device_id: 'nvidia1', metric: power, value: null }),
  transferRecord({ error: 'no route\u001b[2J' }),
]

/** Runs the command, and returns what it printed. */
async function run(words: readonly string[], env: Record<string, string> = {}) {
  const printed = { out: '', err: '' }
  const into = (name: 'out' | 'err') => ({ write: (text: string) => void (printed[name] += text) })
  const io = { env, stdout: into('out'), stderr: into('err'), signal: new AbortController().signal } as unknown as Io
  const code = await query.run(words, io)
  return { code, ...printed }
}

test('a question to the API is answered as a table, or as the API sends it', async (t) => {
  const { url } = await testApi(t, { nowMs, records })
  const env = { API_URL: url, API_KEY: `${testKey},another-key` }
  const gpus = await run(['gpus'], env)
  t.match(gpus.out, /^ID +HOSTNAME .*GPU_UTIL +POWER_USAGE$/m, 'a metric is a column, and the uuid none: it is the id')
  t.match(gpus.out, /^GPU-a .* 50 +400$/m)
  t.match(gpus.out, /^GPU-b .* - +-$/m, 'not reported is no zero')

  const over = ['gpus/host-1:0/telemetry', `metric=${power}`, 'start=-1h', 'window=1m', 'fn=max']
  t.match((await run(over, env)).out, /^POWER_USAGE +W +▁█▅ +100 +400 +700 +400 +2025-07-18T20:42:00Z$/m)
  t.match((await run(['fleet'], env)).out, /^gpus +2$/m, 'what is no list is told a member a line')
  t.match((await run(['/api/v1/transfers'], env)).out, /no route\\u001b\[2J/, 'a terminal obeys nothing of it')
  t.same(JSON.parse((await run(['fleet', '--format', 'json'], env)).out).gpus, 2)

  const cut = await run(['gpus/GPU-a/telemetry', `metric=${power}`, 'start=-1h', 'limit=1'], env)
  t.match(cut.err, /there is more/, 'an answer that is cut says so')
  t.match(await run(['gpus', 'host=nowhere'], env), { code: 0, out: '', err: 'nothing fits\n' })
})

test('a fleet with slices shows the GPU of each beside its id', async (t) => {
  const slice = gpuRecord({ gpu_i_id: '3', value: 7 })
  const { url } = await testApi(t, { nowMs, records: [...records, slice] })
  const { out } = await run(['gpus'], { API_URL: url, API_KEY: testKey })
  t.match(out, /^ID +UUID +GPU_I_ID .*HOSTNAME/m)
  t.match(out, /^GPU-a:3 +GPU-a +3 /m)
})

test('what is wrong is said with what would be right', async (t) => {
  const { url } = await testApi(t, { nowMs, records })
  const env = { API_URL: url, API_KEY: testKey }
  await t.rejects(run(['gpu'], env), /there is no "gpu" to ask for \(did you mean gpus\?\): want one of gpus, /)
  await t.rejects(run(['gpus', 'host'], env), /"host" is no parameter: want name=value/)
  await t.rejects(run(['gpus', '--host', 'a'], env), /--host is for the store: write host=a behind the question/)
  await t.rejects(run(['gpus', 'hots=a'], env), /hots is not known: did you mean host\?/)
  await t.rejects(run(['gpus/GPU-x'], env), /there is no GPU GPU-x/)
  await t.rejects(run(['gpus'], { API_URL: url }), /send a key.*; set API_KEY, or give one with --api-key/)
  await t.rejects(run(['gpus'], { API_URL: 'http://127.0.0.1:9' }), /no API answers at .*: start one with penstock up/)
})

test('where the demo alone was run its store is meant, and it is said', async (t) => {
  const dataDir = temporaryFolder(t)
  await t.rejects(run(['--data-dir', dataDir]), /there is no store/)
  await (await openStore({ dataDir: join(dataDir, 'demo') })).close()
  t.match(await run(['--data-dir', dataDir]), { code: 0, err: /has no store, this is the demo's: .*demo\n/ })
  await (await openStore({ dataDir })).close()
  t.notMatch((await run(['--data-dir', dataDir])).err, /demo/)
})

test('the key may stand in a file, as it does for the roles', async (t) => {
  const { url } = await testApi(t, { nowMs, records })
  const file = join(temporaryFolder(t), 'key')
  writeFileSync(file, `${testKey}\n`)
  t.match(await run(['fleet'], { API_URL: url, API_KEY_FILE: file }), { code: 0 })
  t.match(await run(['fleet'], { API_URL: url, PENSTOCK_API_KEY_FILE: file }), { code: 0 })
  await t.rejects(run(['fleet'], { API_URL: url, API_KEY_FILE: `${file}-not` }), /API_KEY_FILE: .*cannot be read/)
})

test('an API with a certificate of its own is trusted by TLS_CA', { skip: skipWithout(tools.openssl) }, async (t) => {
  const authority = newAuthority(t, 'ours')
  const { cert, key } = authority.sign(temporaryFolder(t), 'api')
  const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"as_of":"2025-07-18T20:43:00Z","gpus":7}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const env = { API_URL: `https://127.0.0.1:${(server.address() as AddressInfo).port}` }
  await t.rejects(run(['fleet'], env), /shows a certificate that is not trusted here .*: set TLS_CA to the file/)
  t.match(await run(['fleet'], { ...env, TLS_CA: authority.path }), { code: 0, out: /^gpus +7$/m })
})
