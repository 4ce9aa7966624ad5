/** What is tried on a cluster, in this order. */

import { join } from 'node:path'
import type { Images } from './images.ts'
import { type Asked, imageFlags, prepare, sample, sampleStored } from './prepare.ts'
import { isIngressTaken } from './ingress.ts'
import { type Figures, type Knock, release, Site, until } from './tools.ts'
import { streamedByTls } from './tls.ts'
import { watched } from './watched.ts'

export interface Step {
  readonly name: string
  readonly site: Site
  run(images: Images): Promise<Figures>
}

const values = (name: string): string => join(import.meta.dirname, name)
const main = new Site('penstock-test-main', ['--values', values('values.yaml')])
const quota = new Site('penstock-test-sandbox', [
  '--values',
  values('../penstock/values-sandbox.yaml'),
  ...['influxdb.image.tag=2.9.1', 'streamer.env.demo=false', 'api.env.demo=false'].flatMap((line) => ['--set', line]),
])
const single = new Site('penstock-test-embedded', [
  '--values',
  values('values.yaml'),
  ...['influxdb.enabled=false', 'streamer.enabled=false', 'msgQueueProxy.replicaCount=1'].flatMap((line) => [
    '--set',
    line,
  ]),
])
/** The embedded store: what is tried here are the ways between the roles. */
const mutual = new Site('penstock-test-tls', [
  '--values',
  values('values.yaml'),
  ...[
    'influxdb.enabled=false',
    'tls.enabled=true',
    'tls.clientCertificates=true',
    'prometheus.scrapeInterval=5s',
  ].flatMap((line) => ['--set', line]),
])

export const steps: readonly Step[] = [
  {
    name: 'install',
    site: main,
    async run(images) {
      const rows = await prepare(main, images)
      const startedMs = performance.now()
      await main.deploy(...imageFlags(images))
      await main.atWork()
      const readyS = Math.round((performance.now() - startedMs) / 1_000)
      return { rows_of_the_sample: rows, 'ready in s': readyS }
    },
  },
  {
    name: 'helm-test',
    site: main,
    async run() {
      await main.helm('test', release, '--timeout', '3m')
      return { 'produced, consumed, asked for': 1 }
    },
  },
  {
    name: 'sample',
    site: main,
    async run() {
      const rows = sample().rows
      const stored = await sampleStored(main)
      const { status, body } = await main.work<Asked>('ask', '/api/v1/gpus?limit=1000', await main.secret('api-key'))
      if (status !== 200) throw new Error(`GET /api/v1/gpus: ${status} ${body}`)
      const all = (JSON.parse(body) as { gpus: readonly { hostname: string }[] }).gpus
      const gpus = all.filter(({ hostname }) => hostname !== 'load' && hostname !== 'helm-test')
      if (gpus.length !== sample().gpus) throw new Error(`${gpus.length} GPUs, want ${sample().gpus}`)
      return { acknowledged: rows, stored: Math.min(stored, rows), gpus: gpus.length }
    },
  },
  {
    name: 'prometheus',
    site: main,
    async run() {
      await main.deploy('--reuse-values', '--set', 'prometheus.enabled=true,prometheus.scrapeInterval=5s')
      const figures = await watched(main, 'http')
      await main.deploy('--reuse-values', '--set', 'prometheus.enabled=false')
      return figures
    },
  },
  {
    name: 'ingress',
    site: main,
    run: () => isIngressTaken(main),
  },
  {
    name: 'kill',
    site: main,
    async run() {
      return underLoad(main, 'kill', 30, async () => {
        await main.kubectl('delete', 'pod', 'msg-queue-0', '--wait=false')
        await main.settle('statefulset/msg-queue')
        await main.kubectl('delete', 'pod', 'msg-queue-1', '--grace-period=0', '--force')
        await main.settle('statefulset/msg-queue')
      })
    },
  },
  {
    name: 'scale',
    site: main,
    async run() {
      return underLoad(main, 'scale', 60, async () => {
        await main.deploy('--reuse-values', '--set', 'msgQueue.replicaCount=3')
        const drained = await main.kubectl('exec', 'deploy/collector-service', '--', 'penstock', 'drain', '2')
        if (!drained.includes('can be removed')) throw new Error(drained)
        await main.deploy('--reuse-values', '--set', 'msgQueue.replicaCount=2')
      })
    },
  },
  {
    name: 'upgrade',
    site: main,
    async run({ next }) {
      const tag = next.slice(next.lastIndexOf(':') + 1)
      const figures = await underLoad(main, 'upgrade', 45, async () => {
        await main.deploy('--reuse-values', '--set', `image.tag=${tag}`)
      })
      const own = 'app.kubernetes.io/name=penstock,app!=penstock-test'
      const path = 'jsonpath={.items[*].spec.containers[*].image}'
      const running = await main.kubectl('get', 'pods', '-l', own, '-o', path)
      const old = running.split(' ').filter((image) => /penstock:/.test(image) && !image.endsWith(tag))
      if (old.length > 0) throw new Error(`still on the old image: ${old.join(', ')}`)
      return figures
    },
  },
  {
    name: 'rotate',
    site: main,
    async run() {
      const before = await main.secret('api-key')
      const after = `rotated-${Date.now()}`
      const ask = async (key: string) => (await main.work<Asked>('ask', '/api/v1/sites', key)).status
      await main.deploy('--reuse-values', '--set', `secrets.apiKey=${after}\\,${before}`)
      // The kubelet brings a changed Secret into a pod within a minute or two; nobody restarts.
      await until('the new key', 180, async () => ((await ask(after)) === 200 ? true : undefined))
      if ((await ask(before)) !== 200) throw new Error('the old key is refused while both are right')
      await main.deploy('--reuse-values', '--set', `secrets.apiKey=${after}`)
      await until('the end of the old key', 180, async () => ((await ask(before)) === 401 ? true : undefined))
      const restarts = await main.kubectl(
        'get',
        'pods',
        '-l',
        'app=api-service',
        '-o',
        'jsonpath={.items[*].status.containerStatuses[*].restartCount}',
      )
      return { 'new key': await ask(after), 'old key': await ask(before), restarts }
    },
  },
  {
    name: 'policies',
    site: main,
    async run() {
      const urls = [
        'http://msg-queue:8080',
        'http://msg-queue-proxy:8080',
        'http://api-service:8080',
        'http://influxdb:8086',
        'http://collector-service:8080',
      ]
      let refused = 0
      for (const url of urls) {
        const { open } = await main.outside<Knock>('knock', `${url}/health`)
        if (open) throw new Error(`a stranger reaches ${url}`)
        refused += 1
      }
      for (const url of ['http://msg-queue:8080', 'http://influxdb:8086']) {
        const { open } = await main.work<Knock>('knock', `${url}/health`)
        if (open) throw new Error(`who may ask the proxy reaches ${url}`)
        refused += 1
      }
      const { open } = await main.work<Knock>('knock', 'http://msg-queue-proxy:8080/health')
      if (!open) throw new Error('who may ask the proxy does not reach it')
      return { refused, allowed: 1 }
    },
  },
  {
    name: 'autoscale',
    site: main,
    async run() {
      const flags = [
        'enabled=true',
        'minReplicas=1',
        'maxReplicas=2',
        'targetCPUUtilizationPercentage=30',
        'scaleDownSeconds=0',
      ]
      await main.deploy('--reuse-values', ...flags.flatMap((line) => ['--set', `collector.autoscaling.${line}`]))
      let most = 1
      const figures = await underLoad(
        main,
        'autoscale',
        100,
        async () => {
          most = await until('a second collector', 150, async () => {
            const replicas = Number(
              await main.kubectl('get', 'deployment', 'collector-service', '-o', 'jsonpath={.status.readyReplicas}'),
            )
            return replicas > 1 ? replicas : undefined
          })
        },
        8_000,
      )
      await main.deploy('--reuse-values', '--set', 'collector.autoscaling.enabled=false')
      return { ...figures, collectors: most }
    },
  },
  {
    name: 'uninstall',
    site: main,
    async run() {
      await main.helm('uninstall', release, '--wait', '--timeout', '3m')
      const left = await main.kubectl(
        'get',
        'statefulsets,deployments,services,networkpolicies,configmaps',
        '-l',
        `release=${release}`,
        '-o',
        'name',
      )
      if (left !== '') throw new Error(`left behind: ${left}`)
      const volumes = (await main.kubectl('get', 'pvc', '-o', 'name')).split('\n').length
      await main.kubectl('delete', 'pod', 'beside', 'outside', '--wait=false')
      return { 'volumes kept': volumes }
    },
  },
  {
    name: 'sandbox',
    site: quota,
    async run(images) {
      // What a quota leaves for the pod of `helm test`.
      await prepare(quota, images, { cpus: 0.1 })
      quota.apply({
        apiVersion: 'v1',
        kind: 'ResourceQuota',
        metadata: { name: 'sandbox' },
        spec: {
          hard: { 'requests.cpu': '1500m', 'requests.memory': '3Gi', 'limits.cpu': '3', 'limits.memory': '4Gi' },
        },
      })
      await quota.kubectl('delete', 'pod', 'outside', '--ignore-not-found')
      await quota.deploy(...imageFlags(images), '--set', 'msgQueue.replicaCount=3', '--set', 'collector.replicaCount=2')
      await quota.atWork()
      const figures = await underLoad(quota, 'sandbox', 20, async () => {})
      const used = await quota.kubectl('get', 'resourcequota', 'sandbox', '-o', 'jsonpath={.status.used}')
      await quota.helm('uninstall', release, '--wait', '--timeout', '3m')
      await quota.kubectl('delete', 'pod', 'beside', '--wait=false')
      return { ...figures, used }
    },
  },
  {
    name: 'tls',
    site: mutual,
    run: (images) => streamedByTls(mutual, images),
  },
  {
    name: 'embedded',
    site: single,
    async run(images) {
      await prepare(single, images)
      const refused = await single.deploy(...imageFlags(images), '--set', 'collector.replicaCount=2').then(
        () => 'taken',
        (error: Error & { stderr?: string }) => error.stderr ?? error.message,
      )
      if (!/collector.replicaCount=2: want 1/.test(refused)) throw new Error(`two collectors on one file: ${refused}`)
      await single.deploy(...imageFlags(images))
      await single.atWork()
      await single.helm('test', release, '--timeout', '3m')
      return underLoad(single, 'embedded', 20, async () => {
        await single.kubectl('delete', 'pod', '-l', 'app=api-service', '--wait=false')
        await single.settle('deployment/api-service')
      })
    },
  },
]

/** Sends while something happens, and compares what was acknowledged with what the API has afterwards. */
async function underLoad(
  site: Site,
  name: string,
  seconds: number,
  meanwhile: () => Promise<void>,
  rate = 800,
): Promise<Figures> {
  // Points of its own: those of an earlier try, which --keep left there, must not be counted as these.
  const run = `${name}-${Date.now().toString(36)}`
  const loading = site.work<{ acknowledged: number; refused: number }>('load', run, seconds, rate)
  // It must be under way; and when what happens fails, that is the error to tell.
  loading.catch(() => {})
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  await meanwhile()
  const { acknowledged, refused } = await loading
  const count = async () => (await site.work<{ stored: number }>('stored', run)).stored
  const stored = await until('every acknowledged record', 120, async () => {
    const now = await count()
    return now >= acknowledged ? now : undefined
  }).catch(count)
  return { acknowledged, stored, 'sent again': refused }
}
