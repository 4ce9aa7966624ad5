/** The settings of the API. */

import { isIP } from 'node:net'
import { commonSettings, setting, SettingsError, type Settings, WrongValue } from '#lib/settings'
import { storePlace } from '#store/settings'
import { isName } from '#wire/ids'
import type { Scope } from './endpoint.ts'
import { type Networks, readNetworks } from './server/networks.ts'
import type { UserScopes } from './server/users.ts'

const name = { pattern: { test: isName } as RegExp, want: '1 to 128 of A-Z a-z 0-9 . _ - not starting with a dot' }
const origins = setting.list('CORS_ORIGINS', {
  help: 'pages of other hosts that may ask, such as https://grafana.example.org; default none',
  want: 'origins such as https://grafana.example.org, with commas',
  default: '',
})

const proxies = setting.list('TRUSTED_PROXIES', {
  help: 'addresses and networks of proxies whose headers are believed; default none',
  want: 'addresses or networks such as 10.0.0.7 or 10.1.0.0/16, with commas',
  default: '',
})
const scopes = setting.list('USER_SCOPES', {
  help: 'what users of USER_HEADER may do; * is everybody whom the proxy names',
  want: 'user=scope pairs with commas such as ann=admin,bob=read+produce,*=read',
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
  trustedProxies: {
    ...proxies,
    parse: (text: string): Networks | undefined => readNetworks(proxies.parse(text) ?? ['']),
  },
  trustForwarded: setting.boolean('TRUST_FORWARDED', {
    help: 'take the address of a client from X-Forwarded-For, where one of TRUSTED_PROXIES sends it',
    default: 'false',
  }),
  userHeader: setting.text('USER_HEADER', {
    help: 'the header in which TRUSTED_PROXIES name the user whom they let in, such as X-Forwarded-User; default none',
    pattern: /^[A-Za-z][A-Za-z0-9-]{0,63}$/,
    want: 'the name of a header',
  }),
  userScopes: { ...scopes, parse: (text: string): UserScopes | undefined => readUserScopes(scopes.parse(text)) },
  corsOrigins: { ...origins, parse: (text: string) => allOf(origins.parse(text), isOrigin) },
  rateLimit: setting.integer('RATE_LIMIT', {
    help: 'requests a minute that a key may make',
    default: '12000',
    min: 1,
    max: 10_000_000,
  }),
  wrongKeyLimit: setting.integer('WRONG_KEY_LIMIT', {
    help: 'wrong keys that an address may try in a minute',
    default: '60',
    min: 1,
    max: 10_000_000,
  }),
  accessLog: setting.boolean('ACCESS_LOG', {
    help: 'a line for each request at the level info: method, path without its query, status, key; else at debug',
    default: 'false',
  }),
  querySeriesMax: setting.integer('QUERY_SERIES_MAX', {
    help: 'series that one answer may hold',
    default: '1000',
    min: 1,
    max: 1_000_000,
  }),
  queryPointsMax: setting.integer('QUERY_POINTS_MAX', {
    help: 'values that one answer may hold, over all its series',
    default: '200000',
    min: 1,
    max: 100_000_000,
  }),
  queryRangeMs: setting.duration('QUERY_RANGE_MAX', {
    help: 'from the start to the end of what one request may ask',
    default: '400d',
    min: '1m',
    max: '36500d',
  }),
  queryRunningMax: setting.integer('QUERY_RUNNING_MAX', {
    help: 'questions that are asked of the store at one time, by each of the two threads that ask it',
    default: '8',
    min: 1,
    max: 1_000,
  }),
  queryWaitingMax: setting.integer('QUERY_WAITING_MAX', {
    help: 'questions that wait for their turn, for each of the two threads; further ones get a 503',
    default: '256',
    min: 1,
    max: 100_000,
  }),
  queryWaitMs: setting.duration('QUERY_WAIT_MAX', {
    help: 'how long a question waits for its turn before it gets a 503',
    default: '5s',
    min: '10ms',
    max: '10m',
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
 * What the settings that belong together make of each other.
 *
 * @throws SettingsError
 */
export function checkUsers({ userHeader, userScopes, trustedProxies, trustForwarded }: ApiSettings): void {
  const beside = 'want TRUSTED_PROXIES beside it: only their headers are believed'
  const wrong = [
    ...(userHeader !== undefined && trustedProxies.isEmpty ? [`USER_HEADER=${userHeader}: ${beside}`] : []),
    ...(trustForwarded && trustedProxies.isEmpty ? [`TRUST_FORWARDED=true: ${beside}`] : []),
    ...(userHeader !== undefined && userScopes.size === 0
      ? [`USER_HEADER=${userHeader}: want USER_SCOPES beside it, such as *=read: else nobody may do anything`]
      : []),
    ...(userHeader === undefined && userScopes.size > 0 ? ['USER_SCOPES: want USER_HEADER beside it'] : []),
  ]
  if (wrong.length > 0) throw new SettingsError(wrong)
}

const allScopes: readonly Scope[] = ['read', 'produce', 'consume', 'admin']

function readUserScopes(parts: readonly string[] | undefined): UserScopes | undefined {
  const users = new Map<string, Scope[]>()
  for (const part of parts ?? ['']) {
    const at = part.lastIndexOf('=')
    const user = part.slice(0, at).trim()
    if (at < 0 || user === '') return undefined
    if (users.has(user)) throw new WrongValue(`${user} is named twice`)
    users.set(
      user,
      part
        .slice(at + 1)
        .split('+')
        .map((name) => {
          const scope = allScopes.find((each) => each === name.trim())
          if (scope !== undefined) return scope
          throw new WrongValue(
            `${part}: ${JSON.stringify(name)} is no scope: want ${allScopes.join(', ')} with + between`,
          )
        }),
    )
  }
  return users
}

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
