/** The settings of the proxy. */

import { httpSettings } from '#lib/http/settings'
import { commonSettings, setting, type Settings } from '#lib/settings'
import { tracingSettings } from '#lib/tracing'

import { virtualNodesDefault } from './ring.ts'

export const proxySettings = {
  ...commonSettings,
  ...httpSettings,
  ...tracingSettings,
  brokers: setting.urls('BROKERS', {
    help: 'addresses of the brokers; unset: those that the name BROKER_SERVICE has',
    default: '',
  }),
  brokerService: setting.text('BROKER_SERVICE', {
    help: 'name with an address for each broker, such as a headless service; TLS_CA asks for https, and this name in the certificate',
    default: 'msg-queue',
    pattern: /^[A-Za-z0-9.-]{1,253}$/,
    want: 'a host name',
  }),
  brokerCount: setting.integer('BROKER_COUNT', {
    help: 'brokers behind BROKER_SERVICE, at least: with numbers from 0; more are found by themselves',
    default: '2',
    min: 1,
    max: 1000,
  }),
  brokerPort: setting.port('BROKER_PORT', { help: 'port of the brokers behind BROKER_SERVICE', default: '8080' }),
  lookupMs: setting.duration('BROKER_LOOKUP_INTERVAL', {
    help: 'how often BROKER_SERVICE is looked up',
    default: '5s',
    min: '100ms',
    max: '1h',
  }),
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
    help: 'how long a broker may take to answer before the next one is tried, and to come at the start of the proxy',
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

/** The URL of the broker that has this address. */
export function urlOf({ brokerPort, tlsCa }: Pick<ProxySettings, 'brokerPort' | 'tlsCa'>, address: string): string {
  const host = address.includes(':') ? `[${address}]` : address
  return `${tlsCa === undefined ? 'http' : 'https'}://${host}:${brokerPort}`
}
