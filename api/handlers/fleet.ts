/** Hosts, namespaces and the fleet as a whole. */

import { metricOf } from '#telemetry/catalogue'
import { formatTime, type Instant, parseTime } from '#telemetry/time'
import { fleetOf, hostsOf, powerMetric } from '../ask/activity.ts'
import type { Inventory } from '../ask/inventory.ts'
import { at, bad, canonical, rangeOf, timeOf, unknownMetric, windowOf } from '../ask/parameters.ts'
import type { BoundReader, StoreReader } from '../ask/reader.ts'
import { after, isBefore, minus } from '../ask/times.ts'
import { windowMsFor, windowsMax } from '../ask/windows.ts'
import type { Handlers } from '../call.ts'

const rangeMsDefault = 900_000

export function fleetHandlers(
  reader: StoreReader,
  inventory: Inventory,
  demo: boolean,
): Handlers<'listHosts' | 'listNamespaces' | 'getFleet' | 'getFleetHistory'> {
  return {
    async listHosts({ nowMs, bounds }) {
      return { as_of: at(nowMs), hosts: hostsOf(await inventory.within(bounds).gpus({}, nowMs), nowMs) }
    },

    async listNamespaces({ nowMs, bounds }) {
      const rows = await reader.within(bounds).ask((store) => store.namespaces(), [])
      return { as_of: at(nowMs), namespaces: [...rows] }
    },

    async getFleet({ nowMs, bounds }) {
      const sites = await reader.within(bounds).ask((store) => store.sites(), [])
      return fleetOf(await inventory.within(bounds).gpus({}, nowMs), sites, nowMs, demo)
    },

    async getFleetHistory({ query, nowMs, bounds }) {
      const own = reader.within(bounds)
      const metric = canonical(query.metric ?? powerMetric)
      const end = timeOf('end', query.end, nowMs) ?? (await newest(own)) ?? { ms: nowMs, ns: 0 }
      const start = timeOf('start', query.start, nowMs) ?? minus(end, rangeMsDefault)
      const rangeMs = rangeOf(start, end)
      const windowMs = windowOf(query.window) ?? windowMsFor(rangeMs)
      if (rangeMs / windowMs > windowsMax) {
        const least = Math.ceil(rangeMs / windowsMax / 1000)
        throw bad('window', `window=${query.window} makes more than ${windowsMax} windows: want ${least}s at least`)
      }
      const fn = query.fn ?? 'sum'
      const known = metricOf(metric)?.metric
      if (known !== undefined && known.kind !== 'gauge') {
        throw bad('metric', `metric=${metric} is a ${known.kind}, which has no ${fn} over GPUs: want a gauge`)
      }
      const values = await own.ask((store) => store.across({ metric, start, end, windowMs, fn }), [])
      if (values.length === 0 && known === undefined) throw unknownMetric(metric)
      return {
        as_of: at(nowMs),
        metric,
        unit: known?.unit ?? null,
        fn,
        start: formatTime(start),
        end: formatTime(end),
        window_s: windowMs / 1000,
        values: values.map(({ time, value, series }) => ({ time, value, gpus: series })),
      }
    },
  }
}

/** The moment behind the newest value of the store. */
async function newest(reader: BoundReader): Promise<Instant | undefined> {
  const hosts = await reader.ask((store) => store.hosts(), [])
  const times = hosts.map(({ last_seen }) => parseTime(last_seen) as Instant)
  return times.length === 0 ? undefined : after(times.reduce((a, b) => (isBefore(a, b) ? b : a)))
}
