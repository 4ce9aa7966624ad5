/** The catalogue. */

import { rangeFunctions } from '#store/store'
import { catalogue } from '#telemetry/catalogue'
import { isAllowed } from '../ask/functions.ts'
import type { Handlers } from '../call.ts'
import type { Metric } from '../contract.ts'

export const metricHandlers: Handlers<'listMetrics'> = {
  async listMetrics() {
    return { metrics }
  },
}

const metrics: Metric[] = catalogue.map(({ name, kind, unit, help, min, max, aliases, functions }) => ({
  name,
  kind,
  unit,
  help,
  min: Number.isFinite(min) ? min : null,
  max: Number.isFinite(max) ? max : null,
  aliases: aliases.map((alias) => alias.name),
  functions: rangeFunctions.filter((fn) => isAllowed(fn, functions)),
}))
