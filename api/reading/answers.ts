/** The handlers that ask the store: the same table for the thread that speaks HTTP and for the one that reads. */

import { fleetHandlers } from '../handlers/fleet.ts'
import { expositionHandlers } from '../handlers/exposition.ts'
import { freshnessHandlers } from '../handlers/freshness.ts'
import { gpuHandlers } from '../handlers/gpus.ts'
import { linkHandlers } from '../handlers/links.ts'
import { modelHandlers } from '../handlers/models.ts'
import { ownerHandlers } from '../handlers/owners.ts'
import { questionHandlers } from '../handlers/questions.ts'
import { telemetryHandlers } from '../handlers/telemetry.ts'
import { transferHandlers } from '../handlers/transfers.ts'
import type { Inventory } from '../ask/inventory.ts'
import type { StoreReader } from '../ask/reader.ts'
import type { ApiSettings } from '../settings.ts'

/** What they need to know; a message can carry it. */
export type ReadSettings = Pick<
  ApiSettings,
  | 'dataDir'
  | 'store'
  | 'influxdbUrl'
  | 'influxdbToken'
  | 'influxdbOrg'
  | 'influxdbBucket'
  | 'staleAfterMs'
  | 'demo'
  | 'querySeriesMax'
  | 'queryPointsMax'
  | 'queryRangeMs'
>

export type ReadHandlers = ReturnType<typeof readHandlers>
export type ReadOperation = keyof ReadHandlers

export function readHandlers(reader: StoreReader, inventory: Inventory, settings: ReadSettings) {
  const { staleAfterMs, demo } = settings
  return {
    ...gpuHandlers(inventory),
    ...telemetryHandlers(reader, inventory, settings),
    ...fleetHandlers(reader, inventory, demo, settings),
    ...modelHandlers(inventory),
    ...expositionHandlers(inventory, staleAfterMs),
    ...freshnessHandlers(reader, inventory, staleAfterMs),
    ...ownerHandlers(reader, inventory),
    ...questionHandlers(reader, inventory),
    ...transferHandlers(reader),
    ...linkHandlers(reader),
  }
}

/** {@link ReadSettings} alone: others have functions, which no message carries, and secrets that the thread has no use for. */
export function readSettingsOf(settings: ApiSettings): ReadSettings {
  const { dataDir, store, influxdbUrl, influxdbToken, influxdbOrg, influxdbBucket } = settings
  const { staleAfterMs, demo, querySeriesMax, queryPointsMax, queryRangeMs } = settings
  return {
    dataDir,
    store,
    influxdbUrl,
    influxdbToken,
    influxdbOrg,
    influxdbBucket,
    staleAfterMs,
    demo,
    querySeriesMax,
    queryPointsMax,
    queryRangeMs,
  }
}
