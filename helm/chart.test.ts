/** The chart, rendered with each of its files of values: sound for Kubernetes, and what it promises. */

import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'tap'
import { parse, stringify } from 'yaml'
import { roles, type RoleName } from '#cli/roles'
import { root } from '#test/start'
import { kubeconformPath, schemasPath, skipWithout, tools } from '#test/tools'
import { cases, embedded } from './cases.ts'
import { envNamesOf, valuesOf, variablesOf } from './env.ts'
import { type Any, chart, find, lint, podsOf, quantity, refusal, render, renderAnew } from './render.ts'

const skip = skipWithout(tools.helm)
const roleNames = Object.keys(roles) as RoleName[]
test('helm lint is content, and Kubernetes knows every field', { skip }, (t) => {
  const hasSchemas = existsSync(schemasPath) && existsSync(kubeconformPath)
  for (const each of cases) {
    t.equal(lint(each), '', each.name)
    if (!hasSchemas) continue
    const { status, stdout } = spawnSync(
      kubeconformPath,
      [
        '-strict',
        '-skip',
        'Route,ServiceMonitor,PrometheusRule,Certificate',
        '-schema-location',
        `${schemasPath}/{{.ResourceKind}}{{.KindSuffix}}.json`,
      ],
      {
        input: render(each)
          .map((object) => stringify(object))
          .join('---\n'),
        encoding: 'utf8',
      },
    )
    t.equal(status, 0, `${each.name} ${stdout}`)
  }
  if (!hasSchemas) t.comment('kubeconform or its schemas are not there: only linted')
  t.end()
})

test('the names below env: are the settings of the role, all of them', async (t) => {
  const schema: Any = JSON.parse(readFileSync(join(chart, 'values.schema.json'), 'utf8'))
  for (const role of roleNames) {
    t.strictSame(schema.properties[valuesOf[role]].properties.env.propertyNames.enum, await envNamesOf(role), role)
  }
})

test('every variable of a role is one of its settings', { skip }, async (t) => {
  const known = new Map(
    await Promise.all(roleNames.map(async (role) => [role as string, await variablesOf(role)] as const)),
  )
  for (const each of cases) {
    for (const { name, spec } of podsOf(render(each))) {
      for (const container of spec.containers) {
        const variables = known.get(container.name)
        for (const { name: variable } of variables === undefined ? [] : container.env) {
          t.ok(variables?.has(variable), `${each.name}: ${name}: ${variable}`)
        }
      }
    }
  }
})

test('values become variables, large numbers as they were written', { skip }, (t) => {
  const set = ['msgQueue.env.queueSize=2000000', 'msgQueue.env.maxAttempts=7', 'api.env.corsOrigins=https://a.example']
  const objects = render({ set })
  t.match(envOf(find(objects, 'StatefulSet', 'msg-queue')), { QUEUE_SIZE: '2000000', MAX_ATTEMPTS: '7' })
  t.match(envOf(find(objects, 'Deployment', 'api-service')), { CORS_ORIGINS: 'https://a.example' })
  t.end()
})

test('brokers have a number, a name, and a volume each', { skip }, (t) => {
  const objects = render()
  const set = find(objects, 'StatefulSet', 'msg-queue')
  const [container] = set.spec.template.spec.containers
  t.match(set.spec, { podManagementPolicy: 'OrderedReady', serviceName: 'msg-queue', replicas: 2 })
  t.strictSame(set.spec.persistentVolumeClaimRetentionPolicy, { whenScaled: 'Retain', whenDeleted: 'Retain' })
  t.equal(
    container.env.find((row: Any) => row.name === 'BROKER_INDEX').valueFrom.fieldRef.fieldPath,
    "metadata.labels['apps.kubernetes.io/pod-index']",
  )
  t.match(find(objects, 'Service', 'msg-queue').spec, { clusterIP: 'None', publishNotReadyAddresses: true })
  t.match(set.spec.volumeClaimTemplates, [
    { metadata: { name: 'data' }, spec: { resources: { requests: { storage: '5Gi' } } } },
  ])
  t.match(
    container.volumeMounts.find((mount: Any) => mount.name === 'data'),
    { mountPath: '/data' },
  )
  t.match(find(objects, 'PodDisruptionBudget', 'msg-queue').spec, { maxUnavailable: 1 })
  t.equal(envOf(find(objects, 'Deployment', 'msg-queue-proxy'))['BROKER_COUNT'], '2')
  t.ok(set.spec.template.spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution)
  const prod = find(render({ variant: 'prod' }), 'StatefulSet', 'msg-queue')
  t.ok(prod.spec.template.spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution)
  t.end()
})

test('every pod is as little as it can be', { skip }, (t) => {
  for (const each of cases) {
    for (const { name, spec } of podsOf(render(each))) {
      const what = `${each.name}: ${name}`
      t.equal(spec.enableServiceLinks, false, what)
      t.equal(spec.automountServiceAccountToken, false, what)
      t.equal(spec.securityContext.runAsNonRoot, true, what)
      t.equal(spec.securityContext.runAsUser === undefined, each.variant === 'openshift', what)
      for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) {
        t.match(
          container.securityContext,
          { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
          `${what}: ${container.name}`,
        )
        t.ok(container.resources.limits.memory, `${what}: ${container.name}: a limit`)
      }
    }
  }
  t.end()
})

test('a role is alive, ready and started by its own doors', { skip }, (t) => {
  const pods = podsOf(render({ set: embedded }))
  let count = 0
  for (const container of pods.flatMap(({ spec }) => spec.containers)) {
    if (!roleNames.includes(container.name)) continue
    count += 1
    const port = container.ports[0].name
    t.match(container.livenessProbe.httpGet, { path: '/health', port }, container.name)
    t.match(container.startupProbe.httpGet, { path: '/health', port }, container.name)
    t.match(container.readinessProbe.httpGet, { path: '/ready', port }, container.name)
    t.equal(String(container.ports[0].containerPort), envIn(container)['PORT'])
  }
  t.equal(count, roleNames.length)
  t.end()
})

test('what stops has the time that it may take', { skip }, (t) => {
  for (const { name, spec } of podsOf(render())) {
    const container = spec.containers[0]
    if (!roleNames.includes(container.name)) continue
    const waits = Number(container.lifecycle?.preStop.exec.command[1] ?? 0)
    t.ok(spec.terminationGracePeriodSeconds > waits + 15, `${name}: ${waits} s, STOP_GRACE, and the rest`)
  }
  t.end()
})

test('the sandbox fits into its quota, with a third broker, a second collector and a test', { skip }, (t) => {
  const objects = render({ variant: 'sandbox', set: ['msgQueue.replicaCount=3', 'collector.replicaCount=2'] })
  const sum = { 'requests.cpu': 0, 'requests.memory': 0, 'limits.cpu': 0, 'limits.memory': 0 }
  for (const { spec, replicas } of podsOf(objects)) {
    for (const key of Object.keys(sum) as (keyof typeof sum)[]) {
      const [kind = '', what = ''] = key.split('.')
      const of = (container: Any): number => quantity(container.resources[kind][what])
      const own = spec.containers.reduce((total: number, each: Any) => total + of(each), 0)
      // What runs before is gone when they run: Kubernetes counts the larger.
      sum[key] += replicas * Math.max(own, ...(spec.initContainers ?? []).map(of))
    }
  }
  t.comment(JSON.stringify(sum))
  t.ok(sum['requests.cpu'] <= 1.5 && sum['requests.memory'] <= 3 * 2 ** 30, 'requests: 1.5 CPU, 3 GiB')
  t.ok(sum['limits.cpu'] <= 3 + 1e-9 && sum['limits.memory'] <= 4 * 2 ** 30, 'limits: 3 CPU, 4 GiB')
  for (const { kind, spec, metadata } of objects) {
    if (kind !== 'Deployment' || spec.strategy.type === 'Recreate') continue
    t.equal(spec.strategy.rollingUpdate.maxSurge, 0, `${metadata.name}: no room for one more`)
  }
  t.end()
})

test('secrets are made, in one Secret, and stand nowhere else', { skip }, (t) => {
  const objects = render({ set: ['secrets.apiKey=key-in-plain-text', 'secrets.serviceToken=token-in-plain-text'] })
  const secrets = objects.filter(({ kind }) => kind === 'Secret')
  t.strictSame(
    secrets.map(({ metadata }) => metadata.name),
    ['telemetry-auth-secret'],
  )
  t.equal(Buffer.from(secrets[0].data['api-key'], 'base64').toString(), 'key-in-plain-text')
  const made = Object.values(secrets[0].data as Record<string, string>).map((text) =>
    Buffer.from(text, 'base64').toString(),
  )
  t.equal(made.length, 5)
  t.match(Buffer.from(secrets[0].data['influxdb-token'], 'base64').toString(), /^[A-Za-z0-9]{40}$/)
  const rest = JSON.stringify(objects.filter(({ kind }) => kind !== 'Secret'))
  for (const secret of [...made, 'admin123', 'telemetry-api-secret-2025']) t.notMatch(rest, secret)
  for (const container of podsOf(objects).flatMap(({ spec }) => [...spec.containers, ...(spec.initContainers ?? [])])) {
    for (const { name, value } of container.env ?? []) {
      if (/TOKEN|KEY|PASSWORD/.test(name)) t.match(value, /^\/run\/secrets\//, `${container.name}: ${name} is a file`)
    }
  }
  t.end()
})

test('a Secret of others is used as it is', { skip }, (t) => {
  const objects = render({ set: ['secrets.enabled=false', 'secrets.existingSecret=ours'] })
  t.strictSame(
    objects.filter(({ kind }) => kind === 'Secret'),
    [],
  )
  const names = podsOf(objects).flatMap(({ spec }) =>
    spec.volumes.flatMap((volume: Any) => volume.secret?.secretName ?? []),
  )
  t.strictSame([...new Set(names)], ['ours'])
  t.end()
})

test('two renderings make two keys: none is in the chart', { skip }, (t) => {
  const keyOf = () => find(renderAnew(), 'Secret', 'telemetry-auth-secret').data['api-key']
  t.not(keyOf(), keyOf())
  t.end()
})

test('with the embedded store collector and API are one pod, and more is refused by name', { skip }, (t) => {
  const objects = render({ set: embedded })
  const pod = find(objects, 'Deployment', 'api-service').spec
  t.strictSame(
    pod.template.spec.containers.map((each: Any) => each.name),
    ['api', 'collector'],
  )
  t.match(pod.strategy, { type: 'Recreate' })
  t.match(envOf(find(objects, 'Deployment', 'api-service'))['STORE'], 'embedded')
  t.strictSame(
    objects.filter(({ kind }) => kind === 'HorizontalPodAutoscaler'),
    [],
  )
  t.ok(find(objects, 'PersistentVolumeClaim', 'penstock-store'))
  for (const more of ['collector.replicaCount=2', 'api.replicaCount=3', 'collector.autoscaling.enabled=true']) {
    t.match(refusal({ set: [...embedded, more] }), new RegExp(`${more}: want .*embedded store`), more)
  }
  t.end()
})

test('what is wrong in the values is refused by name', { skip }, (t) => {
  t.match(refusal({ set: ['msgQueue.env.queueSice=5'] }), /queueSice/)
  t.match(refusal({ set: ['msgQueu.replicaCount=5'] }), /msgQueu/)
  t.match(refusal({ set: ['msgQueue.replicaCount=0'] }), /replicaCount/)
  t.match(refusal({ set: ['msgQueue.useStatefulSet=false'] }), /useStatefulSet=false: want true/)
  t.match(refusal({ set: ['secrets.enabled=false'] }), /want secrets.existingSecret/)
  t.match(refusal({ set: ['ingress.enabled=true'] }), /ingress.host/)
  t.match(refusal({ set: ['secrets.apiKey=short'] }), /apiKey/)
  t.end()
})

test("replicas are the autoscaler's where there is one", { skip }, (t) => {
  const objects = render({ variant: 'prod', set: ['collector.autoscaling.lag.enabled=true'] })
  t.equal(find(objects, 'Deployment', 'collector-service').spec.replicas, undefined)
  t.match(find(objects, 'HorizontalPodAutoscaler', 'collector-service').spec.metrics, [
    { resource: { name: 'cpu' } },
    { external: { metric: { name: 'message_queue_size' }, target: { averageValue: '100000' } } },
  ])
  t.end()
})

test('rules and dashboards of the chart are those of observability/', (t) => {
  const pairs = [
    ['files/rules', 'rules', '*.yml'],
    ['files/dashboards', 'grafana', '**/*.json'],
  ] as const
  for (const [copy, source, pattern] of pairs) {
    const folder = join(root, 'observability', source)
    if (!existsSync(folder)) continue
    const read = (base: string, glob: string) =>
      Object.fromEntries(globSync(join(base, glob)).map((path) => [basename(path), readFileSync(path, 'utf8')]))
    t.strictSame(
      read(join(chart, copy), pattern),
      read(folder, pattern),
      `cp observability/${source} … helm/penstock/${copy}`,
    )
  }
  t.end()
})

test('Grafana knows the database of the chart, and no other', { skip }, (t) => {
  const sourcesOf = (set: readonly string[]): Any[] =>
    parse(find(render({ set }), 'ConfigMap', 'grafana-service').data['datasources.yaml']).datasources
  const [, influxdb] = sourcesOf([])
  t.match(influxdb, {
    type: 'influxdb',
    url: 'http://influxdb:8086',
    jsonData: { version: 'InfluxQL', dbName: 'telem_bucket' },
    secureJsonData: { httpHeaderValue1: 'Token $__file{/run/secrets/grafana/influxdb-token}' },
  })
  const own: Any = parse(
    readFileSync(join(root, 'observability/grafana/provisioning/datasources/penstock.yml'), 'utf8'),
  )
  t.strictSame(
    [influxdb.uid, influxdb.jsonData.httpHeaderName1],
    [own.datasources[1].uid, own.datasources[1].jsonData.httpHeaderName1],
    'as observability/ has it: dashboards know it by its uid',
  )
  const [{ spec }] = podsOf(render()).filter(({ name }) => name === 'grafana-service') as [Any]
  const secret = spec.volumes.find((volume: Any) => volume.name === 'password').secret
  t.ok(secret.items.some(({ path }: Any) => path === 'influxdb-token'))
  t.equal(sourcesOf(embedded).length, 1)
  t.end()
})

test('the version of the chart is that of the package', (t) => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  t.match(parse(readFileSync(join(chart, 'Chart.yaml'), 'utf8')), { version, appVersion: version })
  t.end()
})

function envOf(maker: Any): Record<string, string> {
  return envIn(maker.spec.template.spec.containers[0])
}

function envIn(container: Any): Record<string, string> {
  return Object.fromEntries((container.env as Any[]).map(({ name, value }) => [name, value]))
}
