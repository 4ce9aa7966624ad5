/** What there is to look at, as the settings have it: each subject by itself, all at once, and none for longer than the whole may take. */

import { apiHostOf, apiSettings, checkUsers } from '#api/settings'
import { openFilesMax } from '#broker/disk/limit'
import { brokerSettings } from '#broker/settings'
import { collectorSettings } from '#collector/settings'
import { fetchOf } from '#lib/dial'
import { httpSettings } from '#lib/http/settings'
import { hostOf } from '#lib/service'
import { commonSettings, setting, type Setting, SettingsError } from '#lib/settings'
import { openTls } from '#lib/tls'
import { proxySettings } from '#proxy/settings'
import { embeddedPath } from '#store/open'
import { isEmbedded, storeSettings } from '#store/settings'
import { streamerSettings } from '#streamer/settings'
import { lookAtApi } from './api.ts'
import { lookAtBroker, lookAtService } from './broker.ts'
import { Config } from './config.ts'
import { lookAtInflux } from './database.ts'
import { isBrokers, lookAtDisk } from './disk.ts'
import { lookAtFile } from './embedded.ts'
import { lookAtFiles } from './files.ts'
import { type Finding, findingsOf } from './finding.ts'
import { lookAtMachine } from './machine.ts'
import { judgePort, tenantOf } from './port.ts'
import { lookAtSettings } from './settings.ts'

/** All looks together. */
const totalMs = 12_000

/** The name and password in an address. */
const password = /\/\/[^/\s@]+@/g

export const roleTables = {
  broker: brokerSettings,
  proxy: proxySettings,
  streamer: streamerSettings,
  collector: collectorSettings,
  api: apiSettings,
} as const

export type Role = keyof typeof roleTables

/** The API of `penstock up`. */
export const apiUrl = setting.url('API_URL', { help: 'where the API is', default: 'http://127.0.0.1:8080' })

export interface Wanted {
  readonly config: Config
  /** The roles that run here; none named: whatever is configured. */
  readonly roles: readonly Role[]
  /** Variables that other commands know. */
  readonly alsoKnown: readonly string[]
  readonly signal: AbortSignal
  readonly nowMs: number
}

interface Look {
  readonly subject: string
  run(): Finding[] | Promise<Finding[]>
}

/** Looks at everything; in the order in which an operator mends it. */
export async function lookAtAll(wanted: Wanted): Promise<Finding[]> {
  const { config, signal } = wanted
  const late = AbortSignal.any([signal, AbortSignal.timeout(totalMs)])
  const tls = await senderOf(config)
  try {
    const looks = await looksOf({ ...wanted, signal: late, send: tls.send })
    const found = await Promise.all(looks.map((look) => inTime(look, late)))
    const seen = new Set<string>()
    // Two settings may name one broker.
    return found
      .flat()
      .map((finding) => ({ ...finding, what: finding.what.replace(password, '//…@') }))
      .filter(({ what }) => !seen.has(what) && seen.add(what))
  } finally {
    tls.stop()
  }
}

async function looksOf(wanted: Wanted & { readonly send: typeof fetch | undefined }): Promise<Look[]> {
  const { config, roles, alsoKnown, signal, nowMs, send } = wanted
  const isNamed = (...names: readonly Role[]): boolean => names.some((name) => roles.includes(name))
  const runs = (...names: readonly Role[]): boolean => roles.length === 0 || isNamed(...names)
  const tables = (Object.keys(roleTables) as Role[]).filter((name) => runs(name)).map((name) => roleTables[name])
  const rows = Object.values(roleTables).flatMap((table): Setting<unknown>[] => Object.values(table))
  const secrets = new Map(rows.filter(({ secret }) => secret === true).map((row) => [row.name, row]))

  const { brokerIndex, topics } = brokerSettings
  const dataDir = config.value(commonSettings.dataDir)
  const isGivenBroker = config.isGiven(brokerIndex) || config.isGiven(topics)
  const isBroker = isNamed('broker') || (roles.length === 0 && (isGivenBroker || (await isBrokers(dataDir))))

  const port = config.value(commonSettings.port)
  const isPortKnown = port !== 0 && (config.isGiven(commonSettings.port) || roles.length === 1)
  const host = config.value(commonSettings.host) ?? '127.0.0.1'
  const isTls = config.isGiven(commonSettings.tlsCert)
  const tenant = isPortKnown ? await tenantOf(port, host, isTls, send, signal) : undefined

  const token = config.value(commonSettings.serviceToken)?.current
  const broker = config.values(brokerSettings)
  const keepsFiles = isBroker || runs('streamer', 'collector')
  return [
    {
      subject: 'settings',
      run: () =>
        lookAtSettings(config, tables, [...rows.map(({ name }) => name), ...alsoKnown], contradictions(config, roles)),
    },
    {
      subject: 'secrets',
      run: () => lookAtFiles(config, [...secrets.values()], nowMs),
    },
    {
      subject: 'machine',
      run: () =>
        lookAtMachine(
          config.value(httpSettings.maxConnections),
          isBroker ? { files: broker.maxOpenFiles ?? openFilesMax(), memoryBytes: broker.memoryBytes } : undefined,
        ),
    },
    {
      subject: 'disk',
      run: () =>
        keepsFiles
          ? lookAtDisk(
              dataDir,
              {
                floorBytes: broker.diskFloorBytes,
                isDurable: isBroker && [...broker.topics.values()].some(({ durability }) => durability !== 'memory'),
                brokerIndex: broker.brokerIndex,
              },
              {
                isExpected: isBroker || isNamed('streamer', 'collector') || config.isGiven(commonSettings.dataDir),
                isServing: tenant === undefined ? undefined : tenant !== 'nobody' && tenant !== 'another',
              },
            )
          : [],
    },
    { subject: 'port', run: () => (tenant === undefined ? [] : [judgePort(port, tenant)]) },
    ...brokerLooks(wanted, runs, isNamed, token),
    { subject: 'database', run: () => (runs('collector', 'api') ? lookAtStore(config, roles, signal) : []) },
    {
      subject: 'api',
      run: () =>
        runs('api')
          ? lookAtApi(
              {
                url: config.value(apiUrl),
                isGiven: config.isGiven(apiUrl),
                key: config.value(apiSettings.apiKeys)?.current,
                send,
              },
              signal,
            )
          : [],
    },
  ]
}

/** By the same code as the roles at their start; only of roles that are named, since each has its own rules. */
function contradictions(config: Config, roles: readonly Role[]): (() => unknown)[] {
  const isRole = roles.some((role) => role !== 'api')
  const api = config.values(apiSettings)
  return [
    ...(isRole ? [() => hostOf(config.values(commonSettings))] : []),
    ...(roles.includes('api') ? [() => apiHostOf(api), () => checkUsers(api)] : []),
  ]
}

type IsRole = (...names: readonly Role[]) => boolean

function brokerLooks(
  { config, signal, send }: Wanted & { readonly send: typeof fetch | undefined },
  runs: IsRole,
  isNamed: IsRole,
  token: string | undefined,
): Look[] {
  const { msgQueueAddr } = collectorSettings
  const { brokers, brokerService, brokerCount } = proxySettings
  const asks = runs('streamer', 'collector', 'api')
  const isGiven = config.isGiven(msgQueueAddr)
  const listed = runs('proxy') ? config.value(brokers) : []
  const isLookedUp = listed.length === 0 && (isNamed('proxy') || (runs('proxy') && config.isGiven(brokerService)))
  const reach = { token, send }
  return [
    ...(asks
      ? [{ ...reach, url: config.value(msgQueueAddr), setting: 'MSG_QUEUE_ADDR', isGiven, isBehindProxy: false }]
      : []),
    ...listed.map((url) => ({ ...reach, url, setting: 'BROKERS', isGiven: true, isBehindProxy: asks && isGiven })),
  ]
    .map((each): Look => ({ subject: 'broker', run: () => lookAtBroker(each, signal) }))
    .concat(
      isLookedUp
        ? [{ subject: 'broker', run: () => lookAtService(config.value(brokerService), config.value(brokerCount)) }]
        : [],
    )
}

function lookAtStore(config: Config, roles: readonly Role[], signal: AbortSignal): Finding[] | Promise<Finding[]> {
  const { store, influxdbUrl: url, ...place } = config.values(storeSettings)
  const dataDir = config.value(commonSettings.dataDir)
  if (isEmbedded({ dataDir, store, influxdbUrl: url })) {
    return lookAtFile(embeddedPath(dataDir), roles.includes('collector') || config.isGiven(storeSettings.store))
  }
  if (url === undefined) {
    const what = `STORE=${store} without INFLUXDB_URL`
    return [findingsOf('database').problem(what, 'set INFLUXDB_URL to the address of the InfluxDB')]
  }
  const version = ({ influx1: 1, influx2: 2, influx3: 3 } as const)[store as 'influx1']
  const { influxdbToken: token, influxdbOrg: org, influxdbBucket: bucket, retentionMs } = place
  return lookAtInflux({ url, token, org, bucket, version, retentionMs }, signal)
}

/** How roles are asked: by the files of TLS, where they are given and good. The look at the files tells when they are not. */
async function senderOf(config: Config): Promise<{ readonly send: typeof fetch | undefined; stop(): void }> {
  const { tlsCert, tlsKey, tlsCa, tlsClientCert, tlsClientKey } = commonSettings
  const files = config.values({ tlsCert, tlsKey, tlsCa, tlsClientCert, tlsClientKey })
  try {
    const tls = openTls(files, { log: { info() {}, error() {} } })
    return { send: await fetchOf(tls.client), stop: () => tls.stop() }
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    return { send: undefined, stop() {} }
  }
}

/** A look that takes too long, or breaks, is a finding itself. */
async function inTime({ subject, run }: Look, late: AbortSignal): Promise<Finding[]> {
  const { promise, resolve } = Promise.withResolvers<Finding[]>()
  const { problem } = findingsOf(subject)
  const giveUp = (): void =>
    resolve([problem(`the look was not done within ${totalMs / 1000} s`, 'see why what it looks at hangs')])
  late.addEventListener('abort', giveUp, { once: true })
  const broke = (error: unknown): Finding[] => {
    // Not the message: it may hold what it must not.
    const { code, name } = error as { code?: unknown; name?: unknown }
    return [
      problem(`the look ended with ${String(code ?? name)}`, 'see that this user may read what the settings name'),
    ]
  }
  const done = Promise.resolve().then(run).catch(broke)
  const found = await Promise.race([done, promise])
  late.removeEventListener('abort', giveUp)
  return found
}
