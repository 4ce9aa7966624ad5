/** Kafka: one node (bench/peers/kafka), loaded by its own performance tools. */

import { freePort } from '#test/listen'
import type { Scope } from '#test/start'

import { kafkaIn, kafkaJava } from '../../peers/kafka-server.ts'
import { configured, kafkaFolder, madeFolder } from '../../peers/parts.ts'
import { outputOf } from './output.ts'

export const kafkaNeeds = [kafkaFolder, 'java']

const partitions = 4

export interface Kafka {
  readonly how: string
  /** Records a second into a topic of four partitions, made with `flush.messages=1` where each append is to be synced. */
  produce(topic: string, records: number, recordBytes: number): Promise<number>
  /** Records a second out of the topic, from the first fetch on. */
  consume(topic: string, records: number): Promise<number>
  /** A topic that holds so many records, which others may have written. */
  filled(records: number, recordBytes: number): Promise<string>
  /** Makes a topic that syncs each append. */
  makeSynced(topic: string): Promise<void>
}

export async function startKafka(scope: Scope, folder: string): Promise<Kafka> {
  const own = await madeFolder(folder, 'kafka-node')
  const [sitePort, port, controllerPort] = [await freePort(), await freePort(), await freePort()]
  const properties = await configured('kafka.properties', own, {
    SITE_PORT: sitePort,
    LOCAL_PORT: port,
    CONTROLLER_PORT: controllerPort,
    RELAY_PORT: sitePort,
    FOLDER: own,
  })
  await kafkaIn(scope, properties, port)()
  const address = `127.0.0.1:${port}`
  const tool = (name: string, args: readonly string[]): Promise<string> =>
    outputOf('java', [...kafkaJava, `org.apache.kafka.tools.${name}`, ...args])
  /** Bytes of a record, and how many there are, by topic. */
  const topics = new Map<string, { readonly recordBytes: number; readonly records: number }>()
  const kafka: Kafka = {
    how: 'acks=1, batch.size=131072, linger.ms=5',
    async filled(records, recordBytes) {
      for (const [topic, has] of topics) {
        if (has.recordBytes === recordBytes && has.records >= records) return topic
      }
      await kafka.produce('filled', records, recordBytes)
      return 'filled'
    },
    async produce(topic, records, recordBytes) {
      const what = ['--topic', topic, '--num-records', String(records), '--record-size', String(recordBytes)]
      const props = [`bootstrap.servers=${address}`, 'acks=1', 'batch.size=131072', 'linger.ms=5']
      const text = await tool('ProducerPerformance', [...what, '--throughput', '-1', '--producer-props', ...props])
      topics.set(topic, { recordBytes, records: records + (topics.get(topic)?.records ?? 0) })
      return numberIn(text, /([\d.]+) records\/sec/g)
    },
    async consume(topic, records) {
      const what = ['--topic', topic, '--messages', String(records), '--hide-header']
      const text = await tool('ConsumerPerformance', ['--bootstrap-server', address, ...what])
      // start, end, MB, MB/s, records, records/s, time to the first partition, fetch ms, MB/s and records/s of the fetch alone
      return Number(text.trim().split('\n').at(-1)?.split(',').at(-1))
    },
    async makeSynced(topic) {
      const what = ['--create', '--topic', topic, '--partitions', String(partitions), '--config', 'flush.messages=1']
      await tool('TopicCommand', ['--bootstrap-server', address, ...what])
    },
  }
  return kafka
}

/** Of the last match: the line of the whole run. */
function numberIn(text: string, pattern: RegExp): number {
  const last = [...text.matchAll(pattern)].at(-1)
  if (last === undefined) throw new Error(`Kafka's tool says ${text.slice(-400)}`)
  return Number(last[1])
}
