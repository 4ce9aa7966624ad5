/** Every dashboard, as the files of `dashboards/` hold it. */

import { fleet, oneGpu, oneHost } from './fleet.ts'
import { dashboard, type Sheet } from './kit.ts'
import { api, infrastructure } from './machines.ts'
import { queue, services } from './pipeline.ts'
import { transfers } from './transfers.ts'

const sheets: readonly Sheet[] = [services, queue, api, infrastructure, fleet, oneHost, oneGpu, transfers]

/** Texts by name of the file. */
export function dashboardFiles(): ReadonlyMap<string, string> {
  return new Map(
    sheets.map((sheet) => [
      `${sheet.uid.replace(/^penstock-/, '')}.json`,
      `${JSON.stringify(dashboard(sheet), undefined, 2)}\n`,
    ]),
  )
}
