/** The settings of `penstock up`: its own, and those of the roles that a person is likely to give. */

import { collectorSettings } from '#collector/settings'
import { apiSettings } from '#api/settings'
import { brokerSettings } from '#broker/settings'
import { httpSettings } from '#lib/http/settings'
import { commonSettings, setting, type Settings, type SettingTable } from '#lib/settings'
import { proxySettings } from '#proxy/settings'
import { streamerSettings } from '#streamer/settings'

const { csv, rate, realtime, speed, gapMsMax, times, loop, demo } = streamerSettings
// The roles speak plain HTTP to each other on this machine: TLS is for those that are started one by one.
const { host, tlsCert, tlsKey, tlsClientCa, tlsCa, tlsClientCert, tlsClientKey, ...common } = commonSettings

export const notTaken = [tlsCert, tlsKey, tlsClientCa, tlsCa, tlsClientCert, tlsClientKey]

export const upSettings = {
  csv,
  loop,
  rate,
  realtime,
  speed,
  gapMsMax,
  times,
  demo,
  once: setting.boolean('ONCE', {
    help: 'end, with status 0, as soon as every row is settled',
    default: 'false',
  }),
  ...common,
  httpEngine: httpSettings.httpEngine,
  port: setting.port('PORT', {
    help: 'the port of the API and the dashboard; proxy PORT+1, streamer PORT+2, collector PORT+3, brokers PORT+10 and up; 0: any',
    default: '8080',
  }),
  apiKeys: apiSettings.apiKeys,
  host: { ...host, help: 'address to listen on', fallback: '127.0.0.1' },
  stopGraceMs: setting.duration('STOP_GRACE', {
    help: 'how long a role that stops waits for the requests that it is answering',
    default: '3s',
    min: '0',
    max: '10m',
  }),
}

export type UpSettings = Settings<typeof upSettings>

/** The tables of what `up` starts: all their settings are taken, and handed on. */
export const roleTables = {
  api: apiSettings,
  broker: brokerSettings,
  collector: collectorSettings,
  proxy: proxySettings,
  streamer: streamerSettings,
} as const satisfies Record<string, SettingTable>
