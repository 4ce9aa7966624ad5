/**
 * A real Prometheus and a real Alertmanager for tests, by the files of observability/: only addresses and times differ, so that
 * an alert comes in seconds instead of minutes.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { ruleFiles, rulesFolder } from '#observability/rulefiles'
import { freePort } from './influx.ts'
import { root, type Scope, start, temporaryFolder } from './start.ts'

/** All durations of the rules are divided by this. */
const scale = 20
/** A rate needs two scrapes, and one may be late on a busy machine. */
const secondsMin = 4

const folder = join(root, 'observability')

/** The rules with every duration of theirs (`[5m]`, `offset 1h`, `for: 2m`) made shorter. */
export function scaledRules(text: string): string {
  const shorter = (duration: string): string => {
    const [, count = '', unit = ''] = /^(\d+)([smhd])$/.exec(duration) ?? []
    const seconds = Number(count) * { s: 1, m: 60, h: 3600, d: 86_400 }[unit as 's' | 'm' | 'h' | 'd']
    return `${Math.max(secondsMin, Math.round(seconds / scale))}s`
  }
  return text
    .replace(/\[(\d+[smhd])\]/g, (_, duration: string) => `[${shorter(duration)}]`)
    .replace(/\boffset (\d+[smhd])\b/g, (_, duration: string) => `offset ${shorter(duration)}`)
    .replace(/^( +for: )(\d+[smhd])$/gm, '$11s')
}

export interface StartedPrometheus {
  readonly url: string
  /** The answer of its API; throws what it complains of. */
  get<T>(path: string, parameters?: Readonly<Record<string, string>>): Promise<T>
}

/** @param targets host and port of the processes, by the name of the job in `prometheus.yml` */
export async function startPrometheus(
  t: Scope,
  targets: Readonly<Record<string, readonly string[]>>,
  apiKey: string,
  alertmanagerUrl: string,
): Promise<StartedPrometheus> {
  const own = temporaryFolder(t)
  const config = parse(readFileSync(join(folder, 'prometheus.yml'), 'utf8')) as {
    global: object
    rule_files: string[]
    alerting: object
    scrape_configs: { job_name: string; static_configs: object; authorization?: object; scrape_interval?: string }[]
  }
  config.global = { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' }
  config.alerting = { alertmanagers: [{ static_configs: [{ targets: [new URL(alertmanagerUrl).host] }] }] }
  for (const job of config.scrape_configs) {
    const addresses = targets[job.job_name]
    if (addresses === undefined) throw new Error(`observability/prometheus.yml: no process for the job ${job.job_name}`)
    job.static_configs = [{ targets: addresses }]
    delete job.scrape_interval
  }
  writeFileSync(join(own, 'api-key'), apiKey)
  config.rule_files = ruleFiles().map((name) => {
    writeFileSync(join(own, name), scaledRules(readFileSync(join(rulesFolder, name), 'utf8')))
    return name
  })
  writeFileSync(join(own, 'prometheus.yml'), stringify(config))
  const address = `127.0.0.1:${freePort()}`
  const started = start(t, 'prometheus', [
    `--config.file=${own}/prometheus.yml`,
    `--storage.tsdb.path=${own}/data`,
    `--web.listen-address=${address}`,
  ])
  await started.waitFor(/Server is ready to receive/)
  const url = `http://${address}`
  return {
    url,
    async get<T>(path: string, parameters: Readonly<Record<string, string>> = {}) {
      const answer = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`)
      const { data, error } = (await answer.json()) as { data: T; error?: string }
      if (error !== undefined) throw new Error(`Prometheus: ${JSON.stringify(parameters)}: ${error}`)
      return data
    },
  }
}

/** @param webhook where the receiver `pager` sends what fires and what is over */
export async function startAlertmanager(t: Scope, webhook: string): Promise<string> {
  const own = temporaryFolder(t)
  const config = parse(readFileSync(join(folder, 'alertmanager.yml'), 'utf8')) as {
    route: object
    receivers: { name: string; webhook_configs?: object[] }[]
  }
  config.route = { ...config.route, group_wait: '0s', group_interval: '1s' }
  const pager = config.receivers.find(({ name }) => name === 'pager')
  if (pager === undefined) throw new Error('observability/alertmanager.yml: there is no receiver pager')
  pager.webhook_configs = [{ url: webhook, send_resolved: true }]
  writeFileSync(join(own, 'alertmanager.yml'), stringify(config))
  const address = `127.0.0.1:${freePort()}`
  const started = start(t, 'prometheus-alertmanager', [
    `--config.file=${own}/alertmanager.yml`,
    `--storage.path=${own}/data`,
    `--web.listen-address=${address}`,
    '--cluster.listen-address=',
  ])
  await started.waitFor(/Listening on|listening/i)
  return `http://${address}`
}
