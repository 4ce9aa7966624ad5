import { type Test, test } from 'tap'
import { logTo } from './log.ts'
import { createMetrics } from './metrics.ts'
import { hostOf, openService } from './service.ts'
import { fixedSecrets } from './secret.ts'
import { SettingsError } from './settings.ts'
import { version } from './version.ts'

async function open(t: Test, token: string | undefined, ready: () => true | string = () => true) {
  const lines: Record<string, unknown>[] = []
  const server = await openService({
    role: 'broker',
    settings: {
      host: '127.0.0.1',
      port: 0,
      serviceToken: token === undefined ? undefined : fixedSecrets(token),
      httpEngine: 'node',
      maxConnections: 100,
      maxRequestsPerAddress: undefined,
    },
    log: logTo('broker', 'info', { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) }),
    metrics: createMetrics('broker'),
    routes: [{ method: 'GET', path: '/topics', handle: () => ({ json: [] }) }],
    ready,
    identity: () => ({ broker: 3 }),
    status: async () => ({ broker: 3, draining: false, topics: {} }),
  })
  t.teardown(() => server.close(0))
  return { server, lines, get: (path: string, headers = {}) => fetch(server.url + path, { headers }) }
}

test('a role says by which engine it serves and why, and where it listens, in a line each', async (t) => {
  const { server, lines } = await open(t, undefined)
  t.equal(lines.length, 2)
  t.match(lines[0], { msg: 'HTTP by node: HTTP_ENGINE=node', engine: 'node' })
  t.match(lines[1], { msg: 'listening', role: 'broker', url: server.url, port: server.port })
})

test('health, ready, metrics and status', async (t) => {
  let state: true | string = 'the logs are being read'
  const { get } = await open(t, undefined, () => state)
  t.same(await (await get('/health')).json(), { status: 'ok', version })
  const starting = await get('/ready')
  t.equal(starting.status, 503)
  t.equal(starting.headers.get('retry-after'), '1')
  t.match(await starting.json(), { code: 'starting', detail: state, ready: false, role: 'broker', broker: 3 })
  state = true
  const ready = await get('/ready')
  t.equal(ready.status, 200)
  t.same(await ready.json(), { ready: true, role: 'broker', broker: 3 })
  t.match(await (await get('/status')).json(), { role: 'broker', version, uptime_s: Number, broker: 3, topics: {} })
  const metrics = await get('/metrics')
  t.match(metrics.headers.get('content-type'), 'text/plain; version=0.0.4')
  t.match(await metrics.text(), 'http_requests_total{method="GET",route="/ready",status="503",role="broker"} 1')
})

test('with a token only health, ready and metrics are open', async (t) => {
  const { get } = await open(t, 'hunter2')
  for (const path of ['/health', '/ready', '/metrics']) t.equal((await get(path)).status, 200, path)
  for (const path of ['/status', '/topics']) {
    t.equal((await get(path)).status, 401, path)
    t.equal((await get(path, { Authorization: 'Bearer hunter3' })).status, 401, path)
    t.equal((await get(path, { Authorization: 'Bearer hunter2' })).status, 200, path)
  }
})

test('without a token a role listens on loopback only', (t) => {
  const serviceToken = fixedSecrets('hunter2')
  t.equal(hostOf({ host: undefined, serviceToken: undefined }), '127.0.0.1')
  t.equal(hostOf({ host: undefined, serviceToken }), '0.0.0.0')
  t.equal(hostOf({ host: '10.0.0.1', serviceToken }), '10.0.0.1')
  for (const host of ['127.0.0.1', '127.1.2.3', 'localhost', '::1']) {
    t.equal(hostOf({ host, serviceToken: undefined }), host)
  }
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example', '127', 'example.com', '::ffff:10.0.0.1']) {
    t.throws(
      () => hostOf({ host, serviceToken: undefined }),
      new SettingsError([`HOST=${host}: want a loopback address, or a SERVICE_TOKEN beside it`]),
    )
  }
  t.end()
})
