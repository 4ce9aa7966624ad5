/** What is written down here agrees: documents with the code, alerts with the runbook, expressions with what there is. */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { parse } from 'yaml'
import { catalogue } from '#telemetry/catalogue'
import { dashboardsFolder, readDashboards } from '#test/grafana'
import { scaledRules } from '#test/prometheus'
import { root } from '#test/start'
import { skipWithout, tools } from '#test/tools'
import { metricsDocument } from './document.ts'
import { dashboardFiles } from './grafana/all.ts'
import { metricNames } from './names.ts'
import { allMetrics } from './registry.ts'
import { readRules, recorded, ruleFiles, rulesFolder } from './rulefiles.ts'

const folder = join(root, 'observability')
const alerts = readRules().filter(({ alert }) => alert !== undefined)

test('docs/METRICS.md and the dashboards are what the code makes of them', async (t) => {
  t.equal(readFileSync(join(root, 'docs/METRICS.md'), 'utf8'), metricsDocument(), 'else: npm run observability')
  for (const [name, text] of dashboardFiles()) {
    t.equal(readFileSync(join(dashboardsFolder, name), 'utf8'), text, `${name}; else: npm run observability`)
  }
  t.equal(readDashboards().length, dashboardFiles().size, 'and there is no other')
})

test('the names of DESIGN.md and of the sources are there, and no label is without bounds', async (t) => {
  const all = allMetrics()
  const names = new Set(all.map(({ name }) => name))
  const promised = [
    'http_requests_total',
    'telemetry_data_points_total',
    'message_queue_size',
    'message_processing_duration_seconds',
    'broker_health_status',
    'messages_produced_total',
    'messages_consumed_total',
  ]
  for (const name of promised) t.ok(names.has(name), name)
  const recordedNames = new Set(recorded().map(({ name }) => name))
  for (const name of ['dtms_data_fresh_seconds', 'dtms_data_fresh_ok']) t.ok(recordedNames.has(name), name)
  for (const { name, labels } of all) {
    for (const label of labels) t.notMatch(label, /^(url|path|uri|id|uuid|key|address|ip|query|user|file)$/, name)
  }
})

test('every alert has its entry in the runbook, and every entry its alert', async (t) => {
  const runbook = readFileSync(join(root, 'docs/RUNBOOK.md'), 'utf8')
  const entries = runbook.split(/^### /m).slice(1)
  const titles = entries.map((entry) => entry.slice(0, entry.indexOf('\n')))
  t.same(titles.toSorted(), alerts.map(({ alert }) => alert as string).toSorted())
  for (const { alert = '', labels, annotations } of alerts) {
    t.match(labels?.['severity'], /^(critical|warning|info)$/, alert)
    t.match(annotations, { summary: /./, runbook_url: `docs/RUNBOOK.md#${alert.toLowerCase()}` }, alert)
  }
  for (const entry of entries) t.match(entry, /\*\*Means\*\*[^]*\*\*Do\*\*/, entry.slice(0, 40))
  // A rule over a field that the stock exporter does not collect cannot fire, and says so.
  for (const { alert = '', expr } of alerts) {
    const fields = [...metricNames(expr)].filter((name) => name.startsWith('DCGM_') && !stock.has(name))
    const entry = entries.find((text) => text.startsWith(`${alert}\n`)) ?? ''
    for (const field of fields) t.match(entry, new RegExp(`${field}[^]*\\*\\*cannot fire\\*\\*`), `${alert}: ${field}`)
  }
})

/** What `default-counters.csv` of dcgm-exporter collects of the fields that rules ask for. */
const stock = new Set(
  `DCGM_FI_DEV_GPU_UTIL DCGM_FI_DEV_FB_USED DCGM_FI_DEV_FB_FREE DCGM_FI_DEV_POWER_USAGE DCGM_FI_DEV_GPU_TEMP
   DCGM_FI_DEV_XID_ERRORS DCGM_FI_PROF_GR_ENGINE_ACTIVE DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS
   DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS DCGM_FI_DEV_ROW_REMAP_FAILURE`.split(/\s+/),
)

test('no rule and no panel asks for a metric that nobody has', async (t) => {
  const known = new Set(['up', 'ALERTS', 'penstock_gpu_missing', 'penstock_gpu_last_seen_timestamp_seconds'])
  for (const { name } of catalogue) known.add(name)
  for (const { name } of recorded()) known.add(name)
  for (const { name, type } of allMetrics()) {
    known.add(name)
    if (type === 'histogram' || type === 'summary')
      for (const end of ['bucket', 'sum', 'count']) known.add(`${name}_${end}`)
  }
  const strangers = (expr: string): string[] => [...metricNames(expr)].filter((name) => !known.has(name))
  for (const { alert, record, expr } of readRules()) t.same(strangers(expr), [], alert ?? record ?? '')
  for (const { title, panels } of readDashboards()) {
    for (const panel of panels) {
      for (const { expr } of panel.targets)
        if (expr !== undefined) t.same(strangers(expr), [], `${title}: ${panel.title}`)
    }
  }
  t.same(strangers('sum by (no_metric) (rate(nobody_has_total{up="x"}[5m] offset 1h)) > bool 3'), ['nobody_has_total'])
})

test('dashboards: each panel has a place, a unit and a query; no two have one place', async (t) => {
  const files = readDashboards()
  t.equal(new Set(files.map(({ uid }) => uid)).size, files.length)
  for (const { title, panels } of files) {
    const taken = new Set<string>()
    for (const { title: name, targets, gridPos, fieldConfig, type } of panels) {
      t.ok(targets.length > 0, `${title}: ${name}`)
      t.ok(type === 'table' || fieldConfig.defaults.unit !== undefined, `${title}: ${name}: a unit`)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          const at = `${x},${y}`
          if (taken.has(at)) t.fail(`${title}: ${name} lies over another one`)
          taken.add(at)
        }
      }
    }
  }
})

test('links lead to dashboards that there are, with variables that they have', async (t) => {
  const files = new Map(readDashboards().map((one) => [one.uid, one]))
  const texts = [...files.values()].map((one) => JSON.stringify(one)).join()
  const links = [...texts.matchAll(/"url":"\/d\/([\w-]+)\?var-(\w+)=/g)].map(([, uid = '', name = '']) => ({
    uid,
    name,
  }))
  t.ok(links.length >= 4)
  for (const { uid, name } of links) {
    t.ok(
      files.get(uid)?.templating.list.some((variable) => variable.name === name),
      `${uid}?var-${name}`,
    )
  }
})

test('what provisions Grafana can be read, and has both data sources', async (t) => {
  const read = (path: string): unknown =>
    parse(readFileSync(join(folder, 'grafana/provisioning', path), 'utf8')) as unknown
  t.match(read('datasources/penstock.yml'), { datasources: [{ type: 'prometheus' }, { type: 'influxdb' }] })
  t.match(read('dashboards/penstock.yml'), { providers: [{ type: 'file' }] })
})

const promtool = skipWithout(tools.promtool)

test('promtool: the rules can be read, and their tests pass', { skip: promtool }, async (t) => {
  const check = run('promtool', ['check', 'rules', ...ruleFiles().map((name) => `rules/${name}`)])
  t.equal(check.status, 0, check.said)
  const tests = run('promtool', ['test', 'rules', ...ruleFiles().map((name) => `tests/${name}`)])
  t.equal(tests.status, 0, tests.said)
})

test('promtool: the configuration of Prometheus can be read', { skip: promtool }, async (t) => {
  const own = mkdtempSync(join(tmpdir(), 'penstock-test-'))
  t.teardown(() => rmSync(own, { recursive: true }))
  const config = readFileSync(join(folder, 'prometheus.yml'), 'utf8')
  writeFileSync(join(own, 'prometheus.yml'), config.replace('rules/*.yml', join(rulesFolder, '*.yml')))
  writeFileSync(join(own, 'api-key'), 'a-key')
  const { status, said } = run('promtool', ['check', 'config', join(own, 'prometheus.yml')])
  t.equal(status, 0, said)
})

test('amtool: the configuration of the Alertmanager can be read', { skip: skipWithout(tools.amtool) }, async (t) => {
  const { status, said } = run('amtool', ['check-config', 'alertmanager.yml'])
  t.equal(status, 0, said)
})

test('the inhibitions name alerts that there are', async (t) => {
  const names = new Set(alerts.map(({ alert }) => alert))
  const text = readFileSync(join(folder, 'alertmanager.yml'), 'utf8')
  for (const [, matcher = ''] of text.matchAll(/alertname =~? "([^"]+)"/g)) {
    for (const name of matcher.split('|')) t.ok(names.has(name), name)
  }
})

test('the rules of a test differ in their times only', async (t) => {
  t.equal(
    scaledRules('expr: rate(x[5m] offset 1h) > 300\n        for: 15m\n'),
    'expr: rate(x[15s] offset 180s) > 300\n        for: 1s\n',
  )
})

function run(command: string, args: readonly string[]): { readonly status: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: 'utf8' })
  return { status, said: `${stdout}${stderr}` }
}
