/** Models of GPUs. */

import type { Inventory } from '../ask/inventory.ts'
import { modelsOf } from '../ask/models.ts'
import { at } from '../ask/parameters.ts'
import type { Handlers } from '../call.ts'

export function modelHandlers(inventory: Inventory): Handlers<'listModels'> {
  return {
    async listModels({ nowMs, bounds }) {
      return { as_of: at(nowMs), models: modelsOf(await inventory.within(bounds).gpus({}, nowMs), nowMs) }
    },
  }
}
