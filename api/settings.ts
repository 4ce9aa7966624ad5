/** The settings of the API. */

import { isIP } from 'node:net'
import { commonSettings, setting, SettingsError, type Settings } from '#lib/settings'
import { storePlace } from '#store/settings'
import { isName } from '#wire/ids'

const name = { pattern: { test: isName } as RegExp, want: '1 to 128 of A-Z a-z 0-9 . _ - not starting with a dot' }
const origins = setting.list('CORS_ORIGINS', {
  help: 'pages of other hosts that may ask, such as https://grafana.example.org; default none',
  want: 'origins such as https://grafana.example.org, with commas',
  default: '',
})

export const apiSettings = {
  ...commonSettings,
  ...storePlace,
  host: setting.text('HOST', {
    help: 'address to listen on; default 127.0.0.1, and 0.0.0.0 with an API_KEY',
    pattern: /^[A-Za-z0-9.:_%-]+$/,
    want: 'a host name or an address',
  }),
  apiKeys: setting.secrets('API_KEY', {
    help: 'keys that may do everything (two while they are rotated); without one the API listens on loopback only',
    want: 'keys of 8 to 512 visible ASCII characters, with commas',
    pattern: /^[\x21-\x2b\x2d-\x7e]{8,512}$/,
  }),
  msgQueueAddr: setting.url('MSG_QUEUE_ADDR', {
    help: 'the broker or proxy: POST /telemetry goes there, the live stream comes from there',
    default: 'http://127.0.0.1:8081',
  }),
  msgQueueTopic: setting.text('MSG_QUEUE_TOPIC', { help: 'the topic of GPU metrics', default: 'telemetry', ...name }),
  transfersTopic: setting.text('TRANSFERS_TOPIC', { help: 'the topic of transfers', default: 'transfers', ...name }),
  group: setting.text('GROUP', {
    help: 'the group of the collectors: its lag is what is pending',
    default: 'collector',
    ...name,
  }),
  collectorUrl: setting.url('COLLECTOR_URL', { help: 'a collector, whose state the pipeline shows' }),
  streamerUrl: setting.url('STREAMER_URL', { help: 'a streamer, whose sources the pipeline shows' }),
  demo: setting.boolean('DEMO', {
    help: 'say in the answers and on the page that the fleet does not exist',
    default: 'false',
  }),
  staleAfterMs: setting.duration('STALE_AFTER', {
    help: 'the age from which a value is stale; at least three intervals of the source',
    default: '90s',
    min: '1s',
    max: '30d',
  }),
  corsOrigins: { ...origins, parse: (text: string) => allOf(origins.parse(text), isOrigin) },
  rateLimit: setting.integer('RATE_LIMIT', {
    help: 'requests a minute that a key may make',
    default: '12000',
    min: 1,
    max: 10_000_000,
  }),
  streamBytes: setting.bytes('STREAM_BYTES', {
    help: 'how much of the live stream is kept for readers that are slow or come back',
    default: '16MiB',
    min: '64KiB',
    max: '1GiB',
  }),
}

export type ApiSettings = Settings<typeof apiSettings>

/**
 * The address to listen on: without a key this machine's own only, because everybody who reaches the port may ask.
 *
 * @throws SettingsError
 */
export function apiHostOf({ host, apiKeys }: Pick<ApiSettings, 'host' | 'apiKeys'>): string {
  if (apiKeys !== undefined) return host ?? '0.0.0.0'
  if (host === undefined) return '127.0.0.1'
  if (isLoopback(host)) return host
  throw new SettingsError([`HOST=${host}: want a loopback address, or an API_KEY beside it`])
}

/** Whether a host name or an address means this machine, and no other can reach it there. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '')
  return bare === 'localhost' || bare === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'))
}

function allOf(list: readonly string[] | undefined, isRight: (item: string) => boolean) {
  return list?.every(isRight) === true ? list : undefined
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text
}
