/**
 * A real Prometheus, Alertmanager and InfluxDB beside a pipeline of processes: what is scraped is sound and documented, every
 * rule loads, every panel has data, and a broker that is killed is told of, and told to be back.
 */

import { spawnSync } from 'node:child_process'
import { t as file, test, type Test } from 'tap'
import { startCluster, token } from '#test/cluster'
import { choicesOf, emptyQueries, readDashboards } from '#test/grafana'
import { influx2 } from '#test/influx'
import { listen } from '#test/listen'
import { startAlertmanager, startPrometheus } from '#test/prometheus'
import { type StartedRole, startRole } from '#test/start'
import { skipWithout, tools } from '#test/tools'
import { metricsOf, onlyWithTls } from './registry.ts'
import { readRules } from './rulefiles.ts'

// Eight processes start, on two shared cores.
file.setTimeout(600_000)

const key = 'a-key-of-the-tests'
const database = 'telemetry'

interface Notice {
  readonly status: 'firing' | 'resolved'
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

/** Takes what the Alertmanager sends. */
async function pager(t: Test): Promise<{ url: string; told(alertname: string, status: string): Promise<Notice> }> {
  const notices: Notice[] = []
  const url = await listen(t, async (request, response) => {
    let text = ''
    for await (const piece of request) text += String(piece)
    notices.push(...(JSON.parse(text) as { alerts: Notice[] }).alerts)
    response.end()
  })
  return {
    url,
    async told(alertname, status) {
      for (;;) {
        const found = notices.findLast((one) => one.status === status && one.labels['alertname'] === alertname)
        if (found !== undefined) return found
        await pause()
      }
    },
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 250))
}

const skip = skipWithout(tools.prometheus) || skipWithout(tools.alertmanager)

test('a pipeline under observation', { skip }, async (t) => {
  const store = influx2.skip === false ? await influx2.start(t) : undefined
  const toStore: Record<string, string> =
    store === undefined
      ? {}
      : {
          INFLUXDB_URL: store.settings.influxdbUrl,
          INFLUXDB_TOKEN: store.settings.influxdbToken ?? '',
          INFLUXDB_ORG: store.settings.influxdbOrg ?? '',
          INFLUXDB_BUCKET: database,
        }
  const cluster = await startCluster(t)
  const { proxy, brokers } = cluster
  const env = { MSG_QUEUE_ADDR: proxy.url, SERVICE_TOKEN: token, HOST: '127.0.0.1', ...toStore }
  const collector = await startRole(t, 'collector', { env })
  const [api, streamer] = await Promise.all([
    startRole(t, 'api', { env: { ...env, API_KEY: key, DATA_DIR: collector.dataDir } }),
    startRole(t, 'streamer', { env: { ...env, DEMO: 'true', DEMO_HOSTS: '1', DEMO_STEP: '1s', DEMO_HISTORY: '10s' } }),
  ])
  const notices = await pager(t)
  const hostOf = ({ url }: { readonly url: string }): string => new URL(url).host
  const prometheus = await startPrometheus(
    t,
    {
      'penstock-api': [hostOf(api)],
      'penstock-proxy': [hostOf(proxy)],
      'penstock-streamer': [hostOf(streamer)],
      'penstock-collector': [hostOf(collector)],
      'penstock-broker': brokers.map(hostOf),
      'penstock-gpus': [hostOf(api)],
    },
    key,
    await startAlertmanager(t, notices.url),
  )
  const sending = setInterval(() => void send().catch(() => {}), 1_000)
  t.teardown(() => clearInterval(sending))
  let sent = 0
  /** What the demo has seldom or not at all; and what nothing can be made of. */
  async function send(): Promise<void> {
    const time = new Date().toISOString()
    const transfer = (site: string, status: string) => {
      const own = { kind: 'transfer', time, id: `t${sent++}`, site, source: 'a', destination: 'b', bytes: 1e6 * sent }
      return JSON.stringify({ ...own, duration_s: 1 + (sent % 7), status, error: status === 'failed' ? 'timeout' : '' })
    }
    const transfers = ['SITE_A', 'SITE_B'].flatMap((site) => [transfer(site, 'success'), transfer(site, 'failed')])
    const [gpu] = await gpus()
    const seldom = {
      DCGM_EXP_XID_ERRORS_TOTAL: { value: sent, labels: { xid: '31' } },
      DCGM_FI_DEV_CLOCKS_EVENT_REASONS: { value: 4 },
      DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS: { value: 0 },
    }
    await produce('transfers', transfers)
    if (gpu !== undefined) {
      const records = Object.entries(seldom).map(([metric, own]) => ({ kind: 'gpu', time, ...gpu, metric, ...own }))
      await produce('telemetry', [...records.map((record) => JSON.stringify(record)), '{"kind":"no record"}'])
    }
    await fetch(`${api.url}/api/v1/fleet`, { headers: { 'x-api-key': key } })
  }
  async function produce(topic: string, lines: readonly string[]): Promise<void> {
    const headers = { 'content-type': 'application/x-ndjson', authorization: `Bearer ${token}` }
    await fetch(`${proxy.url}/produce?topic=${topic}`, { method: 'POST', headers, body: lines.join('\n') })
  }
  /** The first one is the one that a choice of GPUs begins with. */
  async function gpus(): Promise<readonly Record<string, string>[]> {
    const answer = await fetch(`${api.url}/api/v1/gpus`, { headers: { 'x-api-key': key } })
    const { gpus: rows = [] } = (await answer.json()) as { gpus?: readonly Record<string, string>[] }
    return rows
      .map(({ uuid = '', hostname = '', gpu_id = '', device_id = '', model_name = '' }) => ({
        uuid,
        hostname,
        gpu_id,
        device_id,
        model_name,
      }))
      .toSorted((a, b) => (a.uuid < b.uuid ? -1 : 1))
  }

  await t.test('every role: promtool finds nothing, and what is there is what docs/METRICS.md tells', async (t) => {
    for (const [role, { url }] of Object.entries({
      streamer,
      proxy,
      broker: brokers[0] as StartedRole,
      collector,
      api,
    })) {
      const input = await (await fetch(`${url}/metrics`)).text()
      const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' })
      t.same({ status, said: `${stdout}${stderr}` }, { status: 0, said: '' }, role)
      const names = [...input.matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => name).toSorted()
      const documented = metricsOf(role).map(({ name }) => name)
      t.same(
        names,
        documented.filter((name) => !onlyWithTls.includes(name)),
        role,
      )
      for (const [, label = '', value = ''] of input.matchAll(/[{,](\w+)="([^"]*)"/g)) {
        if (/^(https?:)|[0-9a-f]{8}-[0-9a-f]{4}|GPU-/.test(value)) t.fail(`${role}: the label ${label} is ${value}`)
      }
    }
  })

  await t.test('every rule loads and can be computed', async (t) => {
    interface Loaded {
      readonly groups: readonly { readonly rules: readonly { name: string; health: string; lastError?: string }[] }[]
    }
    const rules = async () => (await prometheus.get<Loaded>('rules')).groups.flatMap((group) => group.rules)
    while ((await rules()).some(({ health }) => health === 'unknown')) await pause()
    const loaded = await rules()
    t.equal(loaded.length, readRules().length)
    for (const { name, health, lastError = '' } of loaded) t.equal(health, 'ok', `${name} ${lastError}`)
  })

  const influx = store === undefined ? undefined : { ...store.settings, database }
  for (const dashboard of readDashboards()) {
    await t.test(`${dashboard.title}: every panel has data, for all and for one`, async (t) => {
      const databases = { prometheus, influx }
      let empty: readonly string[] = ['']
      // Rates need two scrapes of what has happened by then.
      for (const deadlineMs = performance.now() + 30_000; empty.length > 0 && performance.now() < deadlineMs;) {
        empty = []
        for (const values of await choicesOf(dashboard, databases)) {
          empty = [...empty, ...(await emptyQueries(dashboard, values, databases))]
        }
        if (empty.length > 0) await pause()
      }
      t.same(empty, [])
    })
  }

  await t.test('a broker that is killed is told of, and told to be back', async (t) => {
    const startedMs = performance.now()
    const seconds = () => ((performance.now() - startedMs) / 1000).toFixed(1)
    await brokers[1]?.kill('SIGKILL')
    const firing = await notices.told('PenstockBrokerDown', 'firing')
    t.equal(firing.labels['broker'], '1')
    t.match(firing.annotations['runbook_url'], /docs\/RUNBOOK.md#penstockbrokerdown/)
    t.comment(`told after ${seconds()} s`)
    await cluster.restart(1)
    await notices.told('PenstockBrokerDown', 'resolved')
    t.comment(`told to be back after ${seconds()} s`)
  })
})
