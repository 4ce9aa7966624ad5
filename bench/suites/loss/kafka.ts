/** Telegraf at the site, Kafka, and a Telegraf behind it that writes to InfluxDB. */

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

import { start } from '#test/start'
import { influxdb2Path } from '#test/tools'

import { Influx } from './database.ts'
import { Posts, Ticker } from './load.ts'
import { startPart } from './middle.ts'
import { freePort, Relay } from './relay.ts'
import { configured, kafkaFolder, telegrafPath, type Row } from './row.ts'
import { influxValues, listening, madeFolder, telegrafPart } from './telegraf.ts'

/** 16 bytes in base64, as `kafka-storage random-uuid` makes them. */
const clusterId = 'MkU3OEVBNTcwNTJENDM2Qg'

export const kafkaRow: Row = {
  name: 'telegraf-kafka',
  title: 'Telegraf, Kafka, Telegraf',
  needs: [telegrafPath, kafkaFolder, influxdb2Path, 'java'],
  async start({ scope, folder, plan }) {
    const influx = await Influx.start(scope)
    const own = await madeFolder(folder, 'kafka')
    const [sitePort, localPort, controllerPort, listenPort] = [
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
    ]
    const site = await Relay.open(sitePort)
    scope.teardown(() => site.refuse())
    const properties = await configured('kafka.properties', own, {
      SITE_PORT: sitePort,
      LOCAL_PORT: localPort,
      CONTROLLER_PORT: controllerPort,
      RELAY_PORT: site.port,
      FOLDER: own,
    })
    // As Kafka's own scripts run it.
    const java = ['-Xms1G', '-Xmx1G', '-cp', join(kafkaFolder, '*')]
    const format = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties]
    const formatted = spawnSync('java', [...java, ...format], { encoding: 'utf8', timeout: 120_000 })
    if (formatted.status !== 0) throw new Error(`kafka-storage format: ${formatted.stdout}${formatted.stderr}`)
    const kafka = await startPart('kafka', async () => {
      const started = start(scope, 'java', [...java, 'kafka.Kafka', properties])
      await listening(started, localPort)
      return started
    })
    const values = { ...influxValues(influx), LISTEN_PORT: listenPort }
    const producerConfig = await configured('telegraf-producer.conf', own, { ...values, KAFKA_PORT: site.port })
    const consumerConfig = await configured('telegraf-consumer.conf', own, { ...values, KAFKA_PORT: localPort })
    const producer = await telegrafPart(scope, 'producer', producerConfig, listenPort)
    const consumer = await telegrafPart(scope, 'consumer', consumerConfig)
    const load = new Ticker(plan, new Posts(`http://127.0.0.1:${listenPort}/telegraf`))
    const parts = [producer, kafka, consumer]
    return { load, startMs: load.startMs, parts, folders: [join(own, 'kafka')], database: influx, site }
  },
}
