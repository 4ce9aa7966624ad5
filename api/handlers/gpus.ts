/** `/gpus` and `/gpus/{id}`. */

import { Problem } from '#wire/problems'
import { unitsOf } from '../ask/gpus.ts'
import type { Inventory } from '../ask/inventory.ts'
import { at } from '../ask/parameters.ts'
import type { Handlers } from '../call.ts'

export function gpuHandlers(inventory: Inventory): Handlers<'listGpus' | 'getGpu'> {
  return {
    async listGpus({ query: { host, model, namespace }, nowMs }) {
      if (host === undefined && model === undefined && namespace === undefined) return inventory.list(nowMs)
      const all = await inventory.gpus({ hostname: host, namespace }, nowMs)
      const gpus = all.filter((gpu) => gpu.model_name.toLowerCase().includes((model ?? '').toLowerCase()))
      return { as_of: at(nowMs), units: unitsOf(gpus), gpus }
    },

    async getGpu({ params, nowMs }) {
      const { uuid, gpu_i_id } = await inventory.theGpu(params.id)
      const gpu = (await inventory.gpus({ uuid }, nowMs)).find((each) => each.gpu_i_id === gpu_i_id)
      if (gpu === undefined) throw new Problem('unknown_gpu', `there is no GPU ${params.id} any more`)
      return { as_of: at(nowMs), units: unitsOf([gpu]), gpu }
    },
  }
}
