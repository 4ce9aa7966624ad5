/** Prometheus that scrapes at the site and writes to VictoriaMetrics. */

import { start } from '#test/start'

import { VictoriaMetrics, type Database, type Stored } from './database.ts'
import { Exporter, partOf } from './exporter.ts'
import { startPart } from './middle.ts'
import { freePort } from './relay.ts'
import { configured, listening, madeFolder } from '../../peers/parts.ts'
import type { Row } from './row.ts'

export const prometheusRow: Row = {
  name: 'prometheus',
  title: 'Prometheus, remote write',
  needs: ['prometheus', 'victoria-metrics'],
  async start({ scope, folder, plan }) {
    const victoria = await VictoriaMetrics.start(scope)
    const exporter = await Exporter.start(plan.series)
    scope.teardown(() => exporter.stop())
    const own = await madeFolder(folder, 'prometheus')
    const port = await freePort()
    const config = await configured('prometheus.yml', own, {
      EXPORTER_PORT: exporter.port,
      RELAY_PORT: victoria.relay.port,
    })
    const args = [
      `--config.file=${config}`,
      `--storage.tsdb.path=${own}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ]
    const part = await startPart('prometheus', async () => {
      const started = start(scope, 'prometheus', args)
      await listening(started, port)
      return started
    })
    const database: Database = {
      relay: victoria.relay,
      stop: () => victoria.stop(),
      start: () => victoria.start(),
      written: () => victoria.written(),
      stored: (_, ticks) => storedOf(victoria, exporter, ticks),
    }
    return { load: exporter, startMs: 0, parts: [part], folders: [`${own}/data`], database, site: victoria.relay }
  },
}

async function storedOf(victoria: VictoriaMetrics, exporter: Exporter, ticks: number): Promise<Stored> {
  const ofTick = Array.from({ length: ticks }, () => 0)
  let duplicated = 0
  await victoria.each((uuid, reading, copies) => {
    const tick = exporter.tickOf(partOf(uuid), reading)
    if (tick >= ticks) return
    ofTick[tick] = (ofTick[tick] ?? 0) + 1
    duplicated += copies - 1
  })
  return { ofTick, duplicated }
}
