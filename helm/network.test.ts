/** Who may talk to whom, and how the API is reached from outside: the chart rendered. */

import { test } from 'tap'
import { skipWithout, tools } from '#test/tools'
import { cases, embedded, otlp } from './cases.ts'
import { type Any, find, refusal, render } from './render.ts'

const skip = skipWithout(tools.helm)

test('network policies: who may come is who is let out, and brokers and database take nobody else', { skip }, (t) => {
  for (const each of cases) {
    const policies = render(each).filter(({ kind }) => kind === 'NetworkPolicy')
    const edges = (direction: 'ingress' | 'egress', peers: 'from' | 'to'): string[] =>
      policies
        .flatMap(({ spec }) =>
          (spec[direction] as Any[]).flatMap((rule) =>
            (rule[peers] ?? []).flatMap((peer: Any) => {
              const own = spec.podSelector.matchLabels.app
              const other = peer.podSelector?.matchLabels.app
              if (other === undefined) return []
              return [direction === 'ingress' ? `${other} -> ${own}` : `${own} -> ${other}`]
            }),
          ),
        )
        .toSorted((a, b) => a.localeCompare(b))
    const apps = new Set(policies.map(({ spec }) => spec.podSelector.matchLabels.app))
    const known = edges('ingress', 'from').filter((edge) => apps.has(edge.split(' ')[0]))
    t.strictSame(
      [...new Set(edges('egress', 'to'))],
      [...new Set(known)].filter((edge) => apps.has(edge.split(' ')[2])),
      each.name,
    )
    const brokers = policies.find(({ metadata }) => metadata.name === 'msg-queue')
    t.notMatch(
      JSON.stringify(brokers.spec.ingress),
      /ipBlock|namespaceSelector|collector-service|penstock-test/,
      'brokers',
    )
    t.same(brokers.spec.egress.length > 0, each.set === otlp, `${each.name}: brokers ask nobody, but send spans`)
  }
  t.end()
})

test('spans are let out where they are sent, and only there', { skip }, (t) => {
  const portsOut = (set: readonly string[], pod: string): number[] => {
    const { egress } = find(render({ set }), 'NetworkPolicy', pod).spec
    return (egress as Any[]).flatMap(({ to = [], ports = [] }) =>
      to.some((peer: Any) => peer.ipBlock !== undefined) ? ports.map(({ port }: Any) => port) : [],
    )
  }
  const pods = ['msg-queue', 'msg-queue-proxy', 'streamer-service', 'collector-service', 'api-service']
  t.strictSame(
    pods.map((pod) => portsOut([], pod)),
    [[], [], [], [], []],
  )
  t.strictSame(
    pods.map((pod) => portsOut(otlp, pod)),
    [[4318], [4318], [4318], [4318], []],
    'the API sends none',
  )
  t.strictSame(portsOut([...embedded, ...otlp], 'api-service'), [4318], 'but the collector in its pod')
  const { egress } = find(render({ set: otlp }), 'NetworkPolicy', 'msg-queue').spec
  t.ok(
    egress.some(({ ports }: Any) => ports.some(({ port, protocol }: Any) => port === 53 && protocol === 'UDP')),
    'a broker, which needs no names else, may look this one up',
  )
  const at = (url: string) => [`msgQueue.env.otelExporterOtlpEndpoint=${url}`]
  t.strictSame(portsOut(at('https://otel.example.org'), 'msg-queue'), [443])
  t.strictSame(portsOut(at('http://otel.example.org/v1/traces'), 'msg-queue'), [80])
  t.strictSame(portsOut([...at('http://otel:80'), 'networkPolicy.otlpPorts={14318}'], 'msg-queue'), [14318])
  const elsewhere = ['name=OTEL_EXPORTER_OTLP_ENDPOINT', 'valueFrom.fieldRef.fieldPath=status.hostIP']
  t.strictSame(
    portsOut(
      elsewhere.map((line) => `msgQueue.extraEnv[0].${line}`),
      'msg-queue',
    ),
    [4318],
    'an address that the chart does not see has the port of OTLP',
  )
  t.match(refusal({ set: [...otlp, 'networkPolicy.otlpTo='] }), /networkPolicy.otlpTo/)
  t.end()
})

test('an Ingress leads to a port of the API that is there, by TLS of its own', { skip }, (t) => {
  const set = ['ingress.enabled=true', 'ingress.host=penstock.example.org', 'ingress.tls.secretName=public']
  const objects = render({ set: [...set, 'ingress.className=nginx', 'ingress.annotations.a\\.b/c=d'] })
  const { metadata, spec } = find(objects, 'Ingress', 'api-service')
  t.strictSame(metadata.annotations, { 'a.b/c': 'd' })
  t.match(spec, { ingressClassName: 'nginx', tls: [{ hosts: ['penstock.example.org'], secretName: 'public' }] })
  t.equal(spec.rules[0].host, 'penstock.example.org')
  const { service } = spec.rules[0].http.paths[0].backend
  const { ports, selector } = find(objects, 'Service', service.name).spec
  const { targetPort } = ports.find(({ name }: Any) => name === service.port.name)
  const pod = find(objects, 'Deployment', 'api-service').spec.template
  t.match(pod.metadata.labels, selector)
  t.ok(pod.spec.containers[0].ports.some(({ name }: Any) => name === targetPort))
  t.equal(find(render({ set: set.slice(0, 2) }), 'Ingress', 'api-service').spec.tls, undefined)
  t.end()
})
