/** The values that every rendered test goes through: each file of values, and what can be switched on. */

import { type Variant, variants } from './render.ts'

export const embedded = ['influxdb.enabled=false', 'collector.replicaCount=1', 'api.replicaCount=1']

export const tls = ['tls.enabled=true']
export const certManager = ['tls.certManager.enabled=true', 'tls.certManager.issuer.name=our-authority']
export const otlp = ['msgQueue', 'msgQueueProxy', 'streamer', 'collector'].map(
  (role) => `${role}.env.otelExporterOtlpEndpoint=http://otel.tracing:4318`,
)

/** Everything that can be switched on. */
const allOn = [
  'ingress.enabled=true',
  'ingress.host=penstock.example.org',
  'ingress.tls.secretName=tls',
  'route.enabled=true',
  'serviceMonitor.enabled=true',
  'prometheusRule.enabled=true',
  'collector.autoscaling.lag.enabled=true',
  'streamer.sources.configMap=sample',
  'prometheus.gpus.keySecret=reader',
]
export const cases: { readonly name: string; readonly variant?: Variant; readonly set?: readonly string[] }[] = [
  { name: 'values.yaml' },
  ...variants.map((variant) => ({ name: `values-${variant}.yaml`, variant })),
  { name: 'everything on', variant: 'prod', set: allOn },
  { name: 'the embedded store', set: embedded },
  { name: 'TLS', set: [...tls, 'tls.clientCertificates=true', ...certManager, 'serviceMonitor.enabled=true'] },
  { name: 'TLS, the embedded store, and the API without', set: [...embedded, ...tls, 'tls.api=false'] },
  { name: 'spans', set: otlp },
  {
    name: 'an InfluxDB elsewhere',
    set: ['influxdb.enabled=false', 'influxdb.external.url=http://db.example.org:8086'],
  },
]
