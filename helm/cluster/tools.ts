/** kubectl, helm and a pod beside the release, as the cluster test uses them. */

import { execFile, execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { helmPath } from '#test/tools'

const run = promisify(execFile)
const maxBuffer = 64 * 2 ** 20

export const release = 'telemetry'
export const chart = join(import.meta.dirname, '../penstock')

/** What a step counted. */
export type Figures = Readonly<Record<string, string | number>> & {
  readonly acknowledged?: number
  readonly stored?: number
}

/** Whether a connection came about, and what was answered. */
export interface Knock {
  readonly open: boolean
  readonly status?: number
}

/** The answer of a program; what it printed is in the error when it fails. */
async function call(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run(program, args, { maxBuffer })
  return stdout.trim()
}

/** One namespace of the cluster that KUBECONFIG names, with a release of the chart in it. */
export class Site {
  readonly namespace: string
  readonly #values: readonly string[]

  /** @param values flags of helm that every install and upgrade gets */
  constructor(namespace: string, values: readonly string[]) {
    this.namespace = namespace
    this.#values = values
  }

  kubectl(...args: readonly string[]): Promise<string> {
    return call('kubectl', ['--namespace', this.namespace, ...args])
  }

  /** Applies objects. */
  apply(...objects: readonly object[]): string {
    const list = { apiVersion: 'v1', kind: 'List', items: objects }
    return execFileSync('kubectl', ['--namespace', this.namespace, 'apply', '-f', '-'], {
      input: JSON.stringify(list),
      encoding: 'utf8',
    })
  }

  /** Has the API server look at objects as if they were applied. @throws Error with what it says where it refuses them */
  tryOut(text: string): string {
    return execFileSync('kubectl', ['--namespace', this.namespace, 'apply', '--dry-run=server', '-f', '-'], {
      input: text,
      encoding: 'utf8',
      stdio: 'pipe',
    })
  }

  /** Installs, or upgrades to other values, and waits until all of it is ready. */
  deploy(...flags: readonly string[]): Promise<string> {
    return this.helm('upgrade', '--install', release, chart, ...this.#values, ...flags, '--wait', '--timeout', '5m')
  }

  helm(...args: readonly string[]): Promise<string> {
    return call(helmPath, ['--namespace', this.namespace, ...args])
  }

  /** Waits until what rolls has rolled. */
  async settle(...what: readonly string[]): Promise<void> {
    for (const each of what) await this.kubectl('rollout', 'status', each, '--timeout=5m')
  }

  /** Runs the work of work.mjs in the pod beside the release; what it tells. */
  async work<Answer>(...args: readonly (string | number)[]): Promise<Answer> {
    return JSON.parse(
      await this.kubectl('exec', 'beside', '--', 'node', '/work/work.mjs', ...args.map(String)),
    ) as Answer
  }

  /** The same in a pod that no policy knows. */
  async outside<Answer>(...args: readonly string[]): Promise<Answer> {
    return JSON.parse(await this.kubectl('exec', 'outside', '--', 'node', '/work/work.mjs', ...args)) as Answer
  }

  /** Waits until the pod beside the release has its keys: it was there before them. */
  async atWork(): Promise<void> {
    await this.kubectl('wait', '--for=condition=Ready', 'pod/beside', '--timeout=3m')
  }

  async secret(key: string): Promise<string> {
    const text = await this.kubectl('get', 'secret', 'telemetry-auth-secret', '-o', `jsonpath={.data.${key}}`)
    return Buffer.from(text, 'base64').toString()
  }
}

/** Looks again and again until there is something to see. */
export async function until<T>(what: string, seconds: number, look: () => Promise<T | undefined>): Promise<T> {
  const deadlineMs = performance.now() + seconds * 1_000
  let last: unknown
  for (;;) {
    try {
      const seen = await look()
      if (seen !== undefined) return seen
    } catch (error) {
      last = error
    }
    if (performance.now() > deadlineMs) throw new Error(`${what}: not within ${seconds} s`, { cause: last })
    await new Promise((resolve) => setTimeout(resolve, 1_000))
  }
}

/**
 * A pod that may do what the one of `helm test` may, or nothing of it.
 *
 * @param tlsSecret where the release speaks TLS: the Secret with the authority, which this pod trusts; it shows no certificate
 */
export function workPod(name: 'beside' | 'outside', image: string, cpus: number, tlsSecret?: string): object {
  const inside = name === 'beside'
  const scheme = tlsSecret === undefined ? 'http' : 'https'
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: inside ? { app: 'penstock-test', release } : { app: 'stranger' } },
    spec: {
      enableServiceLinks: false,
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 10_001,
        fsGroup: 10_001,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      containers: [
        {
          name: 'work',
          image,
          command: ['sleep', '3600'],
          env: [
            { name: 'PROXY_URL', value: `${scheme}://msg-queue-proxy:8080` },
            { name: 'API_URL', value: `${scheme}://api-service:8080` },
            ...(tlsSecret === undefined ? [] : [{ name: 'NODE_EXTRA_CA_CERTS', value: '/run/secrets/tls/ca.crt' }]),
          ],
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
          resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { cpu: String(cpus), memory: '192Mi' } },
          volumeMounts: [
            { name: 'work', mountPath: '/work' },
            ...(inside ? [{ name: 'secrets', mountPath: '/run/secrets/penstock' }] : []),
            ...(tlsSecret === undefined ? [] : [{ name: 'tls', mountPath: '/run/secrets/tls' }]),
          ],
        },
      ],
      volumes: [
        { name: 'work', configMap: { name: 'work' } },
        ...(inside ? [{ name: 'secrets', secret: { secretName: 'telemetry-auth-secret' } }] : []),
        ...(tlsSecret === undefined
          ? []
          : [{ name: 'tls', secret: { secretName: tlsSecret, items: [{ key: 'ca.crt', path: 'ca.crt' }] } }]),
      ],
    },
  }
}
