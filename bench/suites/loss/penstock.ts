/** Penstock: a streamer at the site, proxy, two brokers, a collector that writes to InfluxDB. */

import { join } from 'node:path'

import { startRole } from '#test/start'
import { influxdb2Path } from '#test/tools'

import { bucket, Influx } from './database.ts'
import { CsvFolder, Ticker } from './load.ts'
import { startPart, type Part } from './middle.ts'
import { freePort, Relay } from './relay.ts'
import type { Row, Stage } from './row.ts'
import { madeFolder } from '../../peers/parts.ts'

const brokers = 2

export const penstockRow: Row = {
  name: 'penstock',
  title: 'Penstock',
  needs: [influxdb2Path],
  async start({ scope, folder, plan }) {
    const influx = await Influx.start(scope)
    const source = await madeFolder(folder, 'source')
    const { parts, site } = await startPenstock({ scope, folder, plan }, influx, source)
    const load = new Ticker(plan, new CsvFolder(source))
    const folders = [join(folder, 'penstock')]
    return { load, startMs: load.startMs, parts, folders, database: influx, site }
  },
}

/** All roles with their defaults, and the way from the streamer to the proxy. */
export async function startPenstock(
  { scope, folder }: Stage,
  influx: Influx,
  csv: string,
): Promise<{
  readonly parts: readonly Part[]
  readonly site: Relay
  readonly ports: Readonly<Record<string, number>>
}> {
  const ports: Record<string, number> = {}
  const role = async (name: string, kind: string, env: Readonly<Record<string, string>>): Promise<Part> => {
    const port = (ports[name] = await freePort())
    const DATA_DIR = join(folder, 'penstock', name)
    return startPart(name, () => startRole(scope, kind, { env: { ...env, DATA_DIR, PORT: String(port) } }))
  }
  const brokerParts: Part[] = []
  for (let index = 0; index < brokers; index++) {
    brokerParts.push(await role(`broker-${index}`, 'broker', { BROKER_INDEX: String(index) }))
  }
  const urlOf = (port: number | undefined): string => `http://127.0.0.1:${port}`
  const urls = brokerParts.map(({ name }) => urlOf(ports[name]))
  const proxy = await role('proxy', 'proxy', { BROKERS: urls.join(',') })
  const collector = await role('collector', 'collector', {
    MSG_QUEUE_ADDR: urlOf(ports['proxy']),
    INFLUXDB_URL: urlOf(influx.relay.port),
    INFLUXDB_TOKEN: influx.token,
    INFLUXDB_ORG: influx.org,
    INFLUXDB_BUCKET: bucket,
  })
  const site = await Relay.open(ports['proxy'] as number)
  scope.teardown(() => site.refuse())
  const streamer = await role('streamer', 'streamer', { MSG_QUEUE_ADDR: urlOf(site.port), CSV: csv })
  return { parts: [streamer, proxy, ...brokerParts, collector], site, ports }
}
