/** Telegraf at the site, Kafka, and a Telegraf behind it that writes to InfluxDB. */

import { join } from 'node:path'

import { influxdb2Path } from '#test/tools'

import { Influx } from './database.ts'
import { Posts, Ticker } from './load.ts'
import { startPart } from './middle.ts'
import { freePort, Relay } from './relay.ts'
import { kafkaIn } from '../../peers/kafka-server.ts'
import { configured, kafkaFolder, madeFolder, telegrafPath } from '../../peers/parts.ts'
import type { Row } from './row.ts'
import { influxValues, telegrafPart } from './telegraf.ts'

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
    const kafka = await startPart('kafka', kafkaIn(scope, properties, localPort))
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
