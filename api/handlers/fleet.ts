/** Hosts, namespaces and the fleet as a whole. */

import { metricOf } from '#telemetry/catalogue'
import { formatTime } from '#telemetry/time'
import { fleetOf, hostsOf, powerMetric } from '../ask/activity.ts'
import type { Inventory } from '../ask/inventory.ts'
import { type Bounds, boundRange } from '../ask/bounds.ts'
import { endFor } from '../ask/newest.ts'
import { pageOf } from '../ask/pages.ts'
import { at, bad, canonical, rangeOf, timeOf, unknownMetric, windowOf } from '../ask/parameters.ts'
import type { StoreReader } from '../ask/reader.ts'
import { minus } from '../ask/times.ts'
import { windowMsFor, windowsMax } from '../ask/windows.ts'
import type { Handlers } from '../call.ts'

const rangeMsDefault = 900_000

/** Of one answer. */
const hostsMax = 10_000

export function fleetHandlers(
  reader: StoreReader,
  inventory: Inventory,
  demo: boolean,
  limits: Bounds,
): Handlers<'listHosts' | 'listNamespaces' | 'getFleet' | 'getFleetHistory'> {
  return {
    async listHosts({ query: { limit = hostsMax, cursor }, nowMs, bounds }) {
      const all = hostsOf(await inventory.within(bounds).gpus({}, nowMs), nowMs)
      const { items: hosts, ...page } = pageOf(all, ({ hostname }) => [hostname], { limit, cursor })
      return { as_of: at(nowMs), hosts, ...page }
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
      const from = timeOf('start', query.start, nowMs)
      const end = timeOf('end', query.end, nowMs) ?? (await endFor(own, from, nowMs))
      const start = from ?? minus(end, rangeMsDefault)
      const rangeMs = rangeOf(start, end)
      boundRange(limits, rangeMs)
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
