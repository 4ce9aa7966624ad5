/** The role `proxy`: one address for all brokers. It keeps nothing on disk. */

import { randomBytes } from 'node:crypto'
import { lookup } from 'node:dns/promises'

import { systemClock } from '#lib/clock'
import { connectorOf } from '#lib/dial'
import { createLog, type Log } from '#lib/log'
import { createMetrics } from '#lib/metrics'
import { openService } from '#lib/service'
import { aborted } from '#lib/stop'
import { openTls } from '#lib/tls'
import { openTracer } from '#lib/tracing'

import { Cluster } from './cluster.ts'
import { FanIns } from './consume.ts'
import { createFigures } from './figures.ts'
import type { Gateway } from './forward.ts'
import { allFigures } from './look.ts'
import type { Member } from './members.ts'
import { describeMembers, proxyRoutes, statsRoute } from './routes.ts'
import { urlOf, type ProxySettings } from './settings.ts'
import { tableVersion } from './table.ts'
import { connectMs, Upstreams } from './upstream.ts'
import { watchBrokers } from './watch.ts'

/** An idle stream says so often that it is alive; clients give up after three of these. */
const heartbeatMs = 10_000

/** The addresses that a name has now. */
export type LookUp = (name: string) => Promise<readonly string[]>

/** As other programs look names up: with the hosts file, and the domains that a pod searches. */
const lookUpAll: LookUp = async (name) => (await lookup(name, { all: true })).map(({ address }) => address)

/** Runs a proxy until the signal aborts. Rejects when the port is taken. */
export async function run(settings: ProxySettings, signal: AbortSignal, lookUp = lookUpAll): Promise<void> {
  const log = createLog('proxy', settings.logLevel)
  const metrics = createMetrics('proxy')
  const tls = openTls(settings, { log, metrics })
  const tracer = openTracer(settings, { log, metrics })
  // None listed: they are looked up by name.
  const listed = settings.brokers.length > 0 ? settings.brokers : undefined
  const name = listed === undefined ? settings.brokerService : undefined
  const connect = tls.client === undefined ? undefined : await connectorOf(tls.client, connectMs, name)
  const { serviceToken: token, answerMs } = settings
  const figures = createFigures(metrics, systemClock)
  const { stats } = figures
  const upstreams: Upstreams = new Upstreams({
    token,
    answerMs,
    connect,
    onRequest: (url) => stats.begin(() => cluster.members.all.find((member) => member.url === url)?.ordinal),
  })
  const changed = (member: Member): void => {
    tell(log, member)
    upstreams.keep(cluster.members.addresses)
    if (member.state === 'down') upstreams.at(member.url).giveUp(`the broker is down: ${member.reason}`)
    fanIns.renew()
  }
  const expected = listed?.length ?? settings.brokerCount
  const cluster = new Cluster(systemClock, listed ?? [], settings.virtualNodes, changed, expected)
  const gateway: Gateway = {
    cluster,
    upstream: ({ url }) => upstreams.at(url),
    upstreamAt: (url) => upstreams.at(url),
    warn: (line) => log.warn(line),
    held: 0,
    heldBytesMax: settings.heldBytesMax,
    retryAfterS: 1,
    tracer,
  }
  const fanIns: FanIns = new FanIns(gateway, systemClock, () => `proxy-${randomBytes(8).toString('hex')}`)
  figures.watch(gateway)
  const server = await openService({
    role: 'proxy',
    settings,
    log,
    metrics,
    tls,
    routes: [...proxyRoutes(gateway, fanIns, settings.maxBodyBytes), statsRoute(gateway, stats)],
    ready: () => readiness(gateway),
    status: async () => ({
      ring: tableVersion(cluster),
      members: describeMembers(gateway, tls.client === undefined ? undefined : name),
      ...(await allFigures(gateway)),
    }),
  })
  const beat = setInterval(() => fanIns.beat(), heartbeatMs)
  const watching = watchBrokers(signal, gateway, {
    probeMs: settings.probeMs,
    waitMs: settings.answerMs,
    lookupMs: settings.lookupMs,
    ...(name === undefined
      ? {}
      : { lookUp: async () => (await lookUp(name)).map((address) => urlOf(settings, address)) }),
    onLookup: lookupTeller(log, settings.brokerService),
  })

  await aborted(signal)
  clearInterval(beat)
  fanIns.endAll()
  await server.close(settings.stopGraceMs)
  tls.stop()
  await watching
  await Promise.all([upstreams.close(), tracer?.close()])
}

function readiness({ cluster }: Gateway): true | string {
  if (!cluster.complete) return 'the brokers have not all told their numbers and topics yet'
  if (cluster.members.all.some((member) => member.state === 'up')) return true
  return 'no broker is up'
}

function tell(log: Log, { url, ordinal, state, reason }: Member): void {
  log.info({ url, broker: ordinal, state, ...(reason === '' ? {} : { reason }) }, 'a broker changed')
}

/** Says once that a name cannot be looked up, and that it can again. */
function lookupTeller(log: Log, name: string): (failure: string | undefined) => void {
  let told: string | undefined
  return (failure) => {
    if (failure !== undefined && told === undefined) {
      log.warn(`BROKER_SERVICE=${name} cannot be looked up, the brokers that are known stay: ${failure}`)
    } else if (failure === undefined && told !== undefined) log.info(`BROKER_SERVICE=${name} is found again`)
    told = failure
  }
}
