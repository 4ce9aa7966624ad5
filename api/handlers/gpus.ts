/** `/gpus` and `/gpus/{id}`. */

import { formatTime, type Instant } from '#telemetry/time'
import { Problem } from '#wire/problems'
import { placeOf, unitsOf } from '../ask/gpus.ts'
import { gpusMax, type Inventory } from '../ask/inventory.ts'
import { pageOf } from '../ask/pages.ts'
import { at, timeOf } from '../ask/parameters.ts'
import type { Handlers } from '../call.ts'

export function gpuHandlers(inventory: Inventory): Handlers<'listGpus' | 'getGpu'> {
  return {
    async listGpus({ query, nowMs, bounds }) {
      const { host, model, namespace, state, at: past, limit = gpusMax, cursor } = query
      const isEverything = Object.values(query).every((value) => value === undefined)
      if (isEverything && bounds.hosts === undefined) return inventory.list(nowMs)
      const moment = timeOf('at', past, nowMs)
      const ofMs = moment?.ms ?? nowMs
      const all = await inventory.within(bounds).gpus({ hostname: host, namespace, at: moment }, ofMs)
      const fitting = all.filter(
        (gpu) =>
          gpu.model_name.toLowerCase().includes((model ?? '').toLowerCase()) &&
          (state === undefined || gpu.state === state),
      )
      const { items: gpus, ...page } = pageOf(fitting, placeOf, { limit, cursor })
      return { as_of: asOf(moment, nowMs), units: unitsOf(gpus), gpus, ...page }
    },

    async getGpu({ params, query, nowMs, bounds }) {
      const own = inventory.within(bounds)
      const moment = timeOf('at', query.at, nowMs)
      const { uuid, gpu_i_id } = await own.theGpu(params.id)
      const found = await own.gpus({ uuid, at: moment }, moment?.ms ?? nowMs)
      const gpu = found.find((each) => each.gpu_i_id === gpu_i_id)
      const when = moment === undefined ? 'any more' : `in the 24 hours up to ${formatTime(moment)}`
      if (gpu === undefined) throw new Problem('unknown_gpu', `there is no GPU ${params.id} ${when}`)
      return { as_of: asOf(moment, nowMs), units: unitsOf([gpu]), gpu }
    },
  }
}

function asOf(moment: Instant | undefined, nowMs: number): string {
  return moment === undefined ? at(nowMs) : formatTime(moment)
}
