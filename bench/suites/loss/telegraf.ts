/** Telegraf between the site and InfluxDB: with its buffer in memory, on disk, and behind a file that it follows. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { influxdb2Path } from '#test/tools'
import { start, type Scope } from '#test/start'

import { bucket, Influx } from './database.ts'
import { GrowingFile, Posts, Ticker } from './load.ts'
import { startPart, type Part } from './middle.ts'
import { freePort } from './relay.ts'
import { configured, listening, madeFolder, telegrafPath } from '../../peers/parts.ts'
import type { Row } from './row.ts'

export const telegrafRows: readonly Row[] = [
  posted('telegraf-memory', 'Telegraf, buffer in memory (default: 10,000)'),
  posted('telegraf-large', 'Telegraf, buffer in memory (1,000,000)'),
  posted('telegraf-disk', 'Telegraf, buffer on disk'),
  {
    name: 'telegraf-tail',
    title: 'Telegraf, following a file',
    needs: [telegrafPath, influxdb2Path],
    async start({ scope, folder, plan }) {
      const influx = await Influx.start(scope)
      const source = join(folder, 'samples.lines')
      await writeFile(source, '')
      const own = await madeFolder(folder, 'telegraf')
      const config = await configured('telegraf-tail.conf', own, {
        ...influxValues(influx),
        FOLDER: own,
        SOURCE_FILE: source,
      })
      const part = await telegrafPart(scope, 'telegraf', config)
      const load = new Ticker(plan, new GrowingFile(source))
      const { startMs } = load
      return { load, startMs, parts: [part], folders: [own], database: influx, site: influx.relay }
    },
  },
]

/** Points come by HTTP. */
function posted(name: string, title: string): Row {
  return {
    name,
    title,
    needs: [telegrafPath, influxdb2Path],
    async start({ scope, folder, plan }) {
      const influx = await Influx.start(scope)
      const port = await freePort()
      const own = await madeFolder(folder, 'telegraf')
      const values = { ...influxValues(influx), LISTEN_PORT: port, FOLDER: own }
      const part = await telegrafPart(scope, 'telegraf', await configured(`${name}.conf`, own, values), port)
      const load = new Ticker(plan, new Posts(`http://127.0.0.1:${port}/telegraf`))
      const { startMs } = load
      return { load, startMs, parts: [part], folders: [own], database: influx, site: influx.relay }
    },
  }
}

export function influxValues(influx: Influx): Readonly<Record<string, string | number>> {
  return {
    INFLUX_PORT: influx.relay.port,
    INFLUX_TOKEN: influx.token,
    INFLUX_ORG: influx.org,
    INFLUX_BUCKET: bucket,
  }
}

/** @param port of its HTTP listener, when it has one */
export function telegrafPart(scope: Scope, name: string, config: string, port?: number): Promise<Part> {
  return startPart(name, async () => {
    const started = start(scope, telegrafPath, ['--config', config])
    await started.waitFor(/\[agent\] Config:/)
    if (port !== undefined) await listening(started, port)
    return started
  })
}
