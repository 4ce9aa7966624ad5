/** `/gpus` and `/gpus/{id}`. */

import { Problem } from '#wire/problems'
import { placeOf, unitsOf } from '../ask/gpus.ts'
import type { Inventory } from '../ask/inventory.ts'
import { pageOf } from '../ask/pages.ts'
import { at } from '../ask/parameters.ts'
import type { Handlers } from '../call.ts'

/** Of one answer. */
const gpusMax = 10_000

export function gpuHandlers(inventory: Inventory): Handlers<'listGpus' | 'getGpu'> {
  return {
    async listGpus({ query: { host, model, namespace, limit = gpusMax, cursor }, nowMs }) {
      const all = await inventory.gpus({ hostname: host, namespace }, nowMs)
      const fitting = all.filter((gpu) => gpu.model_name.toLowerCase().includes((model ?? '').toLowerCase()))
      const { items: gpus, ...page } = pageOf(fitting, placeOf, { limit, cursor })
      return { as_of: at(nowMs), units: unitsOf(gpus), gpus, ...page }
    },

    async getGpu({ params, nowMs }) {
      const { uuid, gpu_i_id } = await inventory.theGpu(params.id)
      const gpu = (await inventory.gpus({ uuid }, nowMs)).find((each) => each.gpu_i_id === gpu_i_id)
      if (gpu === undefined) throw new Problem('unknown_gpu', `there is no GPU ${params.id} any more`)
      return { as_of: at(nowMs), units: unitsOf([gpu]), gpu }
    },
  }
}
