/** TLS between the roles, as the chart sets it up: rendered. */

import { test } from 'tap'
import { parse } from 'yaml'
import { roles } from '#cli/roles'
import { skipWithout, tools } from '#test/tools'
import { certManager, embedded, tls } from './cases.ts'
import { type Any, find, podsOf, refusal, render } from './render.ts'

const skip = skipWithout(tools.helm)
const mutual = [...tls, 'tls.clientCertificates=true']
const folder = '/run/secrets/tls'

interface Container {
  readonly name: string
  readonly env: Readonly<Record<string, string>>
  readonly probes: readonly Any[]
  readonly mounts: readonly string[]
}

test('without TLS nothing of it is there', { skip }, (t) => {
  t.notMatch(JSON.stringify(render().filter(({ kind }) => kind !== 'ConfigMap')), /TLS_|HTTPS|https:|secrets\/tls/)
  t.end()
})

test('by TLS each role listens, is probed, and asks', { skip }, (t) => {
  for (const set of [tls, [...tls, ...embedded]]) {
    for (const { name, env, probes, mounts } of rolesOf(set)) {
      t.match(env, { TLS_CERT: `${folder}/tls.crt`, TLS_KEY: `${folder}/tls.key`, TLS_CA: `${folder}/ca.crt` }, name)
      t.notOk(
        Object.keys(env).some((key) => key.startsWith('TLS_CLIENT')),
        name,
      )
      t.strictSame(
        probes.map(({ scheme }) => scheme),
        ['HTTPS', 'HTTPS', 'HTTPS'],
        name,
      )
      t.ok(mounts.includes(folder), name)
      for (const [key, url] of Object.entries(env)) {
        if (/^(MSG_QUEUE_ADDR|COLLECTOR_URL|STREAMER_URL)$/.test(key)) t.match(url, /^https:\/\//, `${name}: ${key}`)
      }
    }
  }
  t.equal(rolesOf(tls).length, Object.keys(roles).length)
  t.end()
})

test('client certificates are asked for by all but the API, and shown by all', { skip }, (t) => {
  for (const { name, env } of rolesOf(mutual)) {
    t.match(env, { TLS_CLIENT_CERT: `${folder}/tls.crt`, TLS_CLIENT_KEY: `${folder}/tls.key` }, name)
    t.equal(env['TLS_CLIENT_CA'], name === 'api' ? undefined : `${folder}/ca.crt`, name)
  }
  t.end()
})

test('an API without TLS still asks the others by it', { skip }, (t) => {
  const set = [...mutual, 'tls.api=false']
  const api = rolesOf(set).find(({ name }) => name === 'api') as Container
  t.strictSame([api.env['TLS_CERT'], api.env['TLS_CA']], [undefined, `${folder}/ca.crt`])
  t.match(api.env, { MSG_QUEUE_ADDR: 'https://msg-queue-proxy:8080', TLS_CLIENT_CERT: `${folder}/tls.crt` })
  t.notOk(api.probes.some(({ scheme }) => scheme !== undefined))
  const scheme = (more: readonly string[]) =>
    find(render({ set: more }), 'Service', 'api-service').spec.ports[0].appProtocol
  t.strictSame([scheme([]), scheme(set), scheme(mutual)], [undefined, 'http', 'https'])
  t.end()
})

test('the certificate has every name by which somebody asks', { skip }, (t) => {
  const set = [...tls, ...certManager, 'global.namePrefix=x-']
  const objects = render({ set })
  const { spec } = find(objects, 'Certificate', 'x-penstock')
  t.match(spec, { secretName: 'penstock-tls', issuerRef: { name: 'our-authority', kind: 'Issuer' } })
  t.strictSame(spec.usages, ['digital signature', 'server auth', 'client auth'])
  const asked = podsOf(objects).flatMap(({ spec: pod }) =>
    pod.containers.flatMap(({ env = [] }: Any) =>
      (env as Any[]).flatMap(({ name, value = '' }): string[] => {
        if (name === 'BROKER_SERVICE') return [value]
        return value.startsWith('https://') ? [new URL(value).hostname] : []
      }),
    ),
  )
  const scraped = jobsOf(objects, 'x-prometheus-service').map(({ tls_config: config }) => config.server_name)
  const names = [...new Set([...asked, ...scraped])].toSorted((a, b) => a.localeCompare(b))
  t.strictSame(names, [
    'x-api-service',
    'x-collector-service',
    'x-msg-queue',
    'x-msg-queue-proxy',
    'x-streamer-service',
  ])
  for (const name of names) t.ok(spec.dnsNames.includes(name), name)
  t.end()
})

test('Prometheus asks by TLS, and has the key only where a certificate is asked for', { skip }, (t) => {
  const keys = ['prometheus.gpus.keySecret=reader', 'serviceMonitor.enabled=true']
  const objects = render({ set: [...tls, ...keys] })
  for (const { job_name: name, scheme, tls_config: config } of jobsOf(objects)) {
    t.strictSame([scheme, config.ca_file, config.key_file], ['https', `${folder}/ca.crt`, undefined], name)
  }
  const volumeOf = (all: readonly Any[]): Any =>
    podsOf(all)
      .find(({ name }) => name === 'prometheus-service')
      ?.spec.volumes.find((volume: Any) => volume.name === 'tls')
  t.strictSame(volumeOf(objects).secret.items, [{ key: 'ca.crt', path: 'ca.crt' }])
  const both = render({ set: [...mutual, ...keys, 'tls.api=false'] })
  t.equal(volumeOf(both).secret.items, undefined)
  t.strictSame(
    jobsOf(both)
      .filter(({ scheme }) => scheme === undefined)
      .map(({ job_name: name }) => name),
    ['penstock-api', 'penstock-gpus'],
  )
  const [monitored] = find(both, 'ServiceMonitor', 'penstock').spec.endpoints
  t.match(monitored, { scheme: 'https', tlsConfig: { serverName: 'msg-queue', keySecret: { key: 'tls.key' } } })
  t.match(monitored.relabelings, [{ regex: 'api-service', targetLabel: '__scheme__', replacement: 'http' }])
  t.end()
})

test('what cannot be by TLS is refused by name', { skip }, (t) => {
  t.match(refusal({ set: [...tls, 'streamer.env.straight=true'] }), /streamer.env.straight=true: want false/)
  t.match(refusal({ set: [...tls, 'route.enabled=true'] }), /tls.api=true: want false with route.enabled/)
  t.match(refusal({ set: [...tls, 'tls.certManager.enabled=true'] }), /tls.certManager.issuer.name: want/)
  t.match(refusal({ set: [...tls, 'tls.secretName='] }), /secretName/)
  t.match(refusal({ set: ['msgQueue.env.tlsCert=/x'] }), /tlsCert/)
  t.end()
})

function rolesOf(set: readonly string[]): Container[] {
  return podsOf(render({ set }))
    .flatMap(({ spec }) => spec.containers as Any[])
    .filter(({ name }) => name in roles)
    .map(({ name, env, startupProbe, livenessProbe, readinessProbe, volumeMounts }) => ({
      name,
      env: Object.fromEntries((env as Any[]).map((row) => [row.name, row.value])),
      probes: [startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet),
      mounts: (volumeMounts as Any[]).map(({ mountPath }) => mountPath),
    }))
}

function jobsOf(objects: readonly Any[], name = 'prometheus-service'): Any[] {
  return parse(find(objects, 'ConfigMap', name).data['prometheus.yml']).scrape_configs
}
