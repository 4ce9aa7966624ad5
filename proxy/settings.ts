/** The settings of the proxy. */

import { commonSettings, setting, type Settings } from '#lib/settings'

import { virtualNodesDefault } from './ring.ts'

export const proxySettings = {
  ...commonSettings,
  brokers: setting.list('BROKERS', {
    help: 'addresses of the brokers; unset: made of BROKER_SERVICE and BROKER_COUNT',
    default: '',
    want: 'http or https URLs with commas, such as http://127.0.0.1:8090,http://127.0.0.1:8091',
  }),
  brokerService: setting.text('BROKER_SERVICE', {
    help: 'headless service of the brokers: broker N is at http://SERVICE-N.SERVICE:BROKER_PORT, with TLS_CA at https://',
    default: 'msg-queue',
    pattern: /^[A-Za-z0-9.-]{1,253}$/,
    want: 'a host name',
  }),
  brokerCount: setting.integer('BROKER_COUNT', {
    help: 'number of brokers behind BROKER_SERVICE',
    default: '2',
    min: 1,
    max: 1000,
  }),
  brokerPort: setting.port('BROKER_PORT', { help: 'port of the brokers behind BROKER_SERVICE', default: '8080' }),
  virtualNodes: setting.integer('VIRTUAL_NODES', {
    help: 'points a broker has on the ring; all proxies of a cluster must agree',
    default: String(virtualNodesDefault),
    min: 1,
    max: 10_000,
  }),
  probeMs: setting.duration('PROBE_INTERVAL', {
    help: 'how often each broker is asked whether it is ready',
    default: '500ms',
    min: '50ms',
    max: '1m',
  }),
  answerMs: setting.duration('BROKER_TIMEOUT', {
    help: 'how long a broker may take to answer before the next one is tried',
    default: '10s',
    min: '100ms',
    max: '10m',
  }),
  maxBodyBytes: setting.bytes('MAX_BODY_BYTES', {
    help: 'largest body of a produce request; not above that of the brokers',
    default: '8MiB',
    min: '1KiB',
    max: '64MiB',
  }),
  heldBytesMax: setting.bytes('MAX_HELD_BYTES', {
    help: 'bodies kept until they are answered, all together',
    default: '256MiB',
    min: '1MiB',
    max: '16GiB',
  }),
}

export type ProxySettings = Settings<typeof proxySettings>

/** The addresses of the brokers. */
export function brokerUrls(
  settings: Pick<ProxySettings, 'brokers' | 'brokerService' | 'brokerCount' | 'brokerPort' | 'tlsCa'>,
): string[] {
  const { brokers, brokerService: service, brokerCount, brokerPort } = settings
  if (brokers.length > 0) return brokers.map((url) => url.replace(/\/+$/, ''))
  const scheme = settings.tlsCa === undefined ? 'http' : 'https'
  return Array.from({ length: brokerCount }, (_, index) => `${scheme}://${service}-${index}.${service}:${brokerPort}`)
}
