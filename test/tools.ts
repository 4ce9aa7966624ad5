/**
 * Programs outside node_modules that some tests need. Where one is absent those tests skip, and `npm test` says so in one
 * line, because a test that does not run must be seen. CI installs them all (.ci/run).
 */

import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, isAbsolute, join } from 'node:path'
import { headBytesVariable, loadUws } from '#lib/http/uws-api'

export interface Tool {
  /** The command, where no other is named. */
  readonly name: string
  readonly command?: string
  /** A module that the command, a Python, must have. */
  readonly module?: string
  /** What the command must say to `version`, where several programs have one name. */
  readonly version?: RegExp
  /** Instead of a command: whether it is there. */
  isThere?(): boolean
  /** What does not run without it. */
  readonly skipped: string
}

/** What is no Debian package is built into the user's cache. */
const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'penstock')

const root = join(import.meta.dirname, '..')
const uwsFolder = join(root, 'node_modules/uWebSockets.js')

/** Whether the second HTTP engine loads here. */
export function uwsLoads(): boolean {
  // As `cli/` does, before it is loaded.
  process.env[headBytesVariable.name] = headBytesVariable.value
  try {
    loadUws()
    return true
  } catch {
    return false
  }
}

/** Built by .ci/influxdb2. */
export const influxdb2Path = join(cache, 'influxdb-2.9.1/influxd')

/** Built by .ci/k6. */
export const k6Path = join(cache, 'k6-1.3.0/k6')

/** Any version: built with `go install`, with the plugins inputs.file, outputs.influxdb and outputs.influxdb_v2 at least. */
export const telegrafPath = join(cache, newest('telegraf-') ?? 'telegraf-', 'telegraf')

/** Schemathesis has many dependencies: .ci/schemathesis puts it into an environment of its own, in the user's cache. */
export const schemathesisPath = join(cache, 'schemathesis-4.32.5/bin/st')

/** A Debian 13 for what does not load on an older system, made by .ci/debian-13: its number stands there. */
export const debian13Path = join(cache, 'debian-13-1')

/** How a command is run where uWebSockets.js loads: as it is, or in Debian 13. */
export function underUws(): string[] {
  return uwsLoads() ? [] : ['bash', join(root, '.ci/debian-13'), 'run']
}

/**
 * The HTTP engines, for tests of a role that depend on them: the rest goes into the start of the role. Where uWebSockets.js does
 * not load the role runs in Debian 13.
 */
export function roleEngines() {
  return (['node', 'uws'] as const).map((engine) => ({
    engine,
    env: { HTTP_ENGINE: engine },
    under: engine === 'uws' ? underUws() : [],
    skip: engine === 'uws' ? skipWithout(tools.uws) : false,
  }))
}

/** The three by .ci/kubernetes. */
export const helmPath = join(cache, 'helm-3.22.0/helm')
export const kubeconformPath = join(cache, 'kubeconform-0.8.0/kubeconform')
export const kubernetesVersion = '1.34.4'
/** A JSON schema for each kind of Kubernetes. */
export const schemasPath = join(cache, `kubernetes-${kubernetesVersion}`)

export const tools = {
  npm: { name: 'npm', skipped: 'packing and installing the package (test/pack.proc.test.ts)' },
  curl: {
    name: 'curl',
    skipped: 'the lines of docs/API.md, and reading by curl (test/api.proc.test.ts, clients.proc.test.ts)',
  },
  chromium: {
    name: 'chromium',
    skipped: 'the pages in a browser (test/browser.proc.test.ts, clients.proc.test.ts, api/swagger.proc.test.ts)',
  },
  requests: {
    name: 'python3 with requests',
    command: 'python3',
    module: 'requests',
    skipped: 'reading by Python (test/clients.proc.test.ts)',
  },
  influxdb1: {
    name: 'influxd 1.x',
    command: 'influxd',
    version: /^InfluxDB v1\./,
    skipped: 'the store on InfluxDB 1 (store/influx)',
  },
  influxdb2: {
    name: 'InfluxDB 2.9.1 (.ci/influxdb2)',
    command: influxdb2Path,
    skipped: 'the store on InfluxDB 2 (store/influx)',
  },
  influxdb3: { name: 'influxdb3', skipped: 'the store on InfluxDB 3 (store/influx)' },
  victoriaMetrics: {
    name: 'victoria-metrics',
    skipped: 'our line protocol read by VictoriaMetrics (store/influx/lines.proc.test.ts)',
  },
  openssl: { name: 'openssl', skipped: 'TLS and client certificates (lib/tls.test.ts, test/tls.proc.test.ts)' },
  schemathesis: {
    name: 'schemathesis 4.32.5 (.ci/schemathesis)',
    command: schemathesisPath,
    skipped: 'the OpenAPI file held against the API (test/schemathesis.proc.test.ts)',
  },
  promtool: {
    name: 'promtool',
    skipped:
      'metrics and rules held to Prometheus (api/handlers/exposition.test.ts, observability/observability.test.ts)',
  },
  prometheus: {
    name: 'prometheus',
    skipped: 'panels and alerts in a real Prometheus (observability/observability.proc.test.ts)',
  },
  alertmanager: {
    name: 'prometheus-alertmanager',
    skipped: 'alerts in a real Alertmanager (observability/observability.proc.test.ts)',
  },
  amtool: {
    name: 'amtool',
    skipped: 'the configuration of the Alertmanager (observability/observability.test.ts)',
  },
  telegraf: {
    name: 'Telegraf (bench/peers/telegraf)',
    command: telegrafPath,
    skipped: 'Telegraf that sends to the API (api/intake/telegraf.proc.test.ts)',
  },
  k6: { name: 'k6 1.3.0 (.ci/k6)', command: k6Path, skipped: 'load tests: npm run loadtest (loadtest)' },
  uws: {
    name: 'uWebSockets.js (npm run engine), or a system that it loads on (.ci/debian-13)',
    isThere: () => uwsLoads() || (existsSync(uwsFolder) && existsSync(debian13Path)),
    skipped: 'the second HTTP engine (lib/http/uws.proc.test.ts; clients, disk, flood and limits in test)',
  },
  helm: {
    name: 'helm 3.22.0 (.ci/kubernetes)',
    command: helmPath,
    skipped: 'the chart, rendered (helm/chart.test.ts)',
  },
  kubeconform: {
    name: 'kubeconform 0.8.0 (.ci/kubernetes)',
    command: kubeconformPath,
    skipped: 'the chart against the schemas of Kubernetes (helm/chart.test.ts)',
  },
  podman: { name: 'podman', skipped: 'the image, run as any user (image/image.proc.test.ts)' },
  strace: {
    name: 'strace',
    skipped:
      'a disk that fails or is slow, a socket that takes nothing ' +
      '(test/disk.proc.test.ts, broker/disk/inline.proc.test.ts, lib/http/uws.proc.test.ts)',
  },
} as const satisfies Record<string, Tool>

/** The last folder of that name in the cache. */
function newest(prefix: string): string | undefined {
  const names = existsSync(cache) ? readdirSync(cache).filter((name) => name.startsWith(prefix)) : []
  return names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)
}

/** tap's `skip` option: a reason when the tool is absent, else false. */
export function skipWithout(tool: Tool): string | false {
  return isInstalled(tool) ? false : `${tool.name} is not installed`
}

export function missingTools(): Tool[] {
  return Object.values(tools).filter((tool) => !isInstalled(tool))
}

export function isInstalled({ name, command = name, module, version, isThere }: Tool): boolean {
  if (isThere !== undefined) return isThere()
  if (!isInPath(command)) return false
  if (version !== undefined) return version.test(spawnSync(command, ['version'], { encoding: 'utf8' }).stdout)
  // To find a module takes a fraction of the time that importing it does.
  const find = `import importlib.util, sys; sys.exit(importlib.util.find_spec('${module}') is None)`
  return module === undefined || spawnSync(command, ['-c', find], { stdio: 'ignore' }).status === 0
}

/** Whether there is such a program on the PATH, or at a whole path. */
export function isInPath(command: string): boolean {
  if (isAbsolute(command)) return isExecutable(command)
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => isExecutable(join(folder, command)))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
