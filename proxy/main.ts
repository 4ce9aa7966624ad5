/** The role `proxy`: one address for all brokers. It keeps nothing on disk. */

import { randomBytes } from 'node:crypto'

import { systemClock } from '#lib/clock'
import { connectorOf } from '#lib/dial'
import { createLog } from '#lib/log'
import { createMetrics, type Metrics } from '#lib/metrics'
import { openService } from '#lib/service'
import { aborted } from '#lib/stop'
import { openTls } from '#lib/tls'
import type { Ordinal } from '#wire/ids'

import { Cluster } from './cluster.ts'
import { FanIns } from './consume.ts'
import type { Gateway } from './forward.ts'
import { allFigures, learnTopics } from './look.ts'
import type { Member, Probe } from './members.ts'
import { describeMembers, proxyRoutes } from './routes.ts'
import { brokerUrls, type ProxySettings } from './settings.ts'
import { tableVersion } from './table.ts'
import { connectMs, Upstream } from './upstream.ts'

/** An idle stream says so often that it is alive; clients give up after three of these. */
const heartbeatMs = 10_000

/** How long a broker may take to say that it is ready. */
const probeAnswerMs = 1_000

/** Runs a proxy until the signal aborts. Rejects when the port is taken. */
export async function run(settings: ProxySettings, signal: AbortSignal): Promise<void> {
  const log = createLog('proxy', settings.logLevel)
  const metrics = createMetrics('proxy')
  const tls = openTls(settings, { log, metrics })
  const connect = tls.client === undefined ? undefined : await connectorOf(tls.client, connectMs)
  const upstreams = new Map<string, Upstream>()
  const cluster = new Cluster(systemClock, brokerUrls(settings), settings.virtualNodes, (member) => {
    const { url, ordinal, state, reason } = member
    log.info({ url, broker: ordinal, state, ...(reason === '' ? {} : { reason }) }, 'a broker changed')
  })
  for (const { url } of cluster.members.all) {
    upstreams.set(url, new Upstream(url, settings.serviceToken, settings.answerMs, connect))
  }
  const gateway: Gateway = {
    cluster,
    upstream: ({ url }) => upstreams.get(url) as Upstream,
    held: 0,
    heldBytesMax: settings.heldBytesMax,
    retryAfterS: 1,
  }
  const fanIns = new FanIns(gateway, systemClock, () => `proxy-${randomBytes(8).toString('hex')}`)
  watchMembers(metrics, gateway)
  const server = await openService({
    role: 'proxy',
    settings,
    log,
    metrics,
    tls,
    routes: proxyRoutes(gateway, fanIns, settings.maxBodyBytes),
    ready: () => readiness(gateway),
    status: async () => ({
      ring: tableVersion(cluster),
      members: describeMembers(gateway),
      ...(await allFigures(gateway)),
    }),
  })
  const beat = setInterval(() => fanIns.beat(), heartbeatMs)
  const probing = probeUntil(signal, gateway, settings.probeMs)

  await aborted(signal)
  clearInterval(beat)
  fanIns.endAll()
  await server.close(settings.stopGraceMs)
  tls.stop()
  await probing
  await Promise.all([...upstreams.values()].map((upstream) => upstream.close()))
}

function readiness({ cluster }: Gateway): true | string {
  if (!cluster.complete) return 'the brokers have not all told their numbers and topics yet'
  if (cluster.members.all.some((member) => member.state === 'up')) return true
  return 'no broker is up'
}

/** Asks all members, again and again; each on its own, so that one that hangs does not keep the others waiting. */
async function probeUntil(signal: AbortSignal, gateway: Gateway, everyMs: number): Promise<void> {
  const { members } = gateway.cluster
  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, everyMs)
      signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true })
    })
  const follow = async (member: Member): Promise<void> => {
    while (!signal.aborted) {
      members.probed(member.url, await probe(gateway.upstream(member)))
      await pause()
    }
  }
  const learn = async (): Promise<void> => {
    while (!signal.aborted) {
      // While nobody answers, the topics are as they were; the probes say what is wrong.
      await learnTopics(gateway).catch(() => {})
      await pause()
    }
  }
  await Promise.all([...members.all.map(follow), learn()])
}

async function probe(upstream: Upstream): Promise<Probe> {
  try {
    const { status, body } = await upstream.request('GET', '/ready', { answerMs: probeAnswerMs })
    const told = JSON.parse(body.toString('utf8')) as { readonly broker?: number; readonly detail?: string }
    if (typeof told.broker !== 'number') return { kind: 'failed', reason: 'it answers, but is no broker' }
    const ordinal = told.broker as Ordinal
    if (status === 200) return { kind: 'ready', ordinal }
    return { kind: 'not_ready', ordinal, reason: told.detail ?? `it answers ${status}` }
  } catch (error) {
    return { kind: 'failed', reason: (error as Error).message }
  }
}

function watchMembers(metrics: Metrics, { cluster }: Gateway): void {
  const health = metrics.gauge('broker_health_status', 'Whether the broker is up (1) or not (0)', ['broker'])
  metrics.onScrape(() => {
    for (const { ordinal, state } of cluster.members.all) {
      if (ordinal !== undefined) health.with({ broker: String(ordinal) }).set(state === 'up' ? 1 : 0)
    }
  })
}
