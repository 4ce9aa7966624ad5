/** `GET /metrics/gpus`. */

import { expositionOf } from '../ask/exposition.ts'
import type { Inventory } from '../ask/inventory.ts'
import type { Handlers } from '../call.ts'

export function expositionHandlers(inventory: Inventory, staleAfterMs: number): Handlers<'scrapeGpus'> {
  return {
    async scrapeGpus({ nowMs, bounds }) {
      return expositionOf(await inventory.within(bounds).gpus({}, nowMs), staleAfterMs)
    },
  }
}
