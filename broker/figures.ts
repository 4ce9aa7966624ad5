/** The broker's metrics: what it took and gave, what waits for whom, and what the disk takes for it. */

import { boundedLabel, type Counter, type Family, type Histogram, type Metrics } from '#lib/metrics'

import type { Broker } from './broker.ts'
import { openCount } from './letters.ts'
import { missingIn } from './log/holes.ts'
import { groupsOf, sumOf, waitingOf } from './waiting.ts'

/** Groups are named by whoever reads: so many have series of their own, all others share those of `other`. */
const groupsMax = 200

export interface Figures {
  readonly produced: (topic: string, records: number) => void
  readonly consumed: (topic: string, records: number) => void
  /** Records that retention removed before the group had them. */
  readonly lost: (topic: string, group: string, records: number) => void
  readonly givenUp: (topic: string, group: string, records: number) => void
  /** Seconds of one `fdatasync`. */
  readonly synced: Histogram
  readonly written: Counter
  /** Tells of the broker at each scrape. */
  watch(broker: Broker, streams: () => number): void
}

/** Registers them all. */
export function createFigures(metrics: Metrics): Figures {
  const groupLabel = boundedLabel(groupsMax)
  const produced = perTopic(metrics.counter('messages_produced_total', 'Records appended and acknowledged', ['topic']))
  const consumed = perTopic(metrics.counter('messages_consumed_total', 'Records sent to consumers', ['topic']))
  const lost = metrics.counter(
    'penstock_retention_lost_records_total',
    'Records removed for their age that the group had not acknowledged',
    ['topic', 'group'],
  )
  const givenUp = metrics.counter(
    'penstock_given_up_records_total',
    'Records that became dead letters because they were sent MAX_ATTEMPTS times and not acknowledged',
    ['topic', 'group'],
  )
  const synced = metrics.histogram('penstock_disk_sync_duration_seconds', 'One fdatasync of a file of the broker')
  const written = metrics.counter('penstock_disk_written_bytes_total', 'Bytes written to files of the broker')
  const tellers = [tellQueues(metrics), tellGroups(metrics, groupLabel), tellDisk(metrics)]
  const open = metrics.gauge('penstock_consume_streams', 'Streams that consumers have open')
  return {
    produced: (topic, records) => produced(topic).inc(records),
    consumed: (topic, records) => consumed(topic).inc(records),
    lost: (topic, group, records) => lost.with({ topic, group: groupLabel(group) }).inc(records),
    givenUp: (topic, group, records) => givenUp.with({ topic, group: groupLabel(group) }).inc(records),
    synced,
    written,
    watch(broker, streams) {
      metrics.onScrape(() => {
        open.set(streams())
        for (const tell of tellers) tell(broker)
      })
    },
  }
}

type Tell = (broker: Broker) => void

function tellQueues(metrics: Metrics): Tell {
  const size = metrics.gauge(
    'message_queue_size',
    'Records that the slowest group of the topic has not acknowledged; all that are kept where there is no group',
    ['topic', 'partition'],
  )
  const records = metrics.gauge('penstock_log_records', 'Records that the logs of the topic keep', ['topic'])
  const bytes = metrics.gauge('penstock_log_bytes', 'Bytes that the logs of the topic take', ['topic'])
  const letters = metrics.gauge(
    'penstock_dead_letters',
    'Dead letters of the topic that nobody has sent again or put away',
    ['topic'],
  )
  const missing = metrics.gauge(
    'penstock_missing_records',
    'Offsets of the logs that hold no record though none was removed, by the reason that `event: gap` gives; found so far',
    ['topic', 'reason'],
  )
  return (broker) => {
    for (const topic of broker.topics) {
      for (const log of topic.logs) {
        const lags = topic.groups.all.map((group) => group.figures(log.partition).lag)
        const waiting = lags.length === 0 ? log.records : Math.max(...lags)
        size.with({ topic: topic.name, partition: String(log.partition) }).set(waiting)
      }
      const of = { topic: topic.name }
      records.with(of).set(sumOf(topic.logs, (log) => log.records))
      bytes.with(of).set(sumOf(topic.logs, (log) => log.bytes))
      if (topic.isDead) letters.with(of).set(openCount(topic))
      const reasons = missingIn(topic.logs.flatMap((log) => log.holes))
      for (const [reason, count] of Object.entries(reasons)) missing.with({ ...of, reason }).set(count)
    }
  }
}

function tellGroups(metrics: Metrics, groupLabel: (name: string) => string): Tell {
  const labels = ['topic', 'group'] as const
  const lag = metrics.gauge('penstock_group_lag_records', 'Records that the group has not acknowledged', labels)
  const inFlight = metrics.gauge('penstock_group_in_flight_records', 'Records sent and not acknowledged yet', labels)
  const consumers = metrics.gauge('penstock_group_consumers', 'Consumers that read in the group here', labels)
  const oldest = metrics.gauge(
    'penstock_group_oldest_unacknowledged_seconds',
    'How long the record waits that the group has not acknowledged longest; 0 where none waits',
    labels,
  )
  const idle = metrics.gauge('penstock_group_idle_seconds', 'How long nobody has read in the group', labels)
  return (broker) => {
    // Groups go; what is not there any more must not stay on the panel.
    for (const family of [lag, inFlight, consumers, oldest, idle]) family.clear()
    for (const topic of broker.topics) {
      for (const group of groupsOf(topic)) {
        const of = { topic: topic.name, group: groupLabel(group.name) }
        const { lag: own, inFlight: sent, oldestS = 0 } = waitingOf(broker, topic, group)
        const idleMs = group.members.size > 0 ? 0 : topic.groups.idleMs(group.name, broker.clock.monotonicMs())
        lag.with(of).inc(own)
        inFlight.with(of).inc(sent)
        consumers.with(of).inc(group.members.size)
        oldest.with(of).set(oldestS)
        idle.with(of).set(idleMs / 1000)
      }
    }
  }
}

function tellDisk(metrics: Metrics): Tell {
  const free = metrics.gauge('penstock_disk_free_bytes', 'Free bytes of the disk that holds the logs')
  const total = metrics.gauge('penstock_disk_size_bytes', 'Bytes of the disk that holds the logs')
  const least = metrics.gauge('penstock_disk_floor_bytes', 'Free bytes of the disk below which produce is refused')
  const writable = metrics.gauge('penstock_broker_writable', 'Whether records are taken (1) or refused for all (0)')
  return (broker) => {
    const { floor } = broker
    if (floor.space !== undefined) {
      free.set(floor.space.freeBytes)
      total.set(floor.space.totalBytes)
    }
    least.set(floor.bytes)
    writable.set(broker.notWritable === undefined ? 1 : 0)
  }
}

/** The counter of a topic, looked up once. */
function perTopic(family: Family<'topic', Counter>): (topic: string) => Counter {
  const counters = new Map<string, Counter>()
  return (topic) => {
    let counter = counters.get(topic)
    if (counter === undefined) counters.set(topic, (counter = family.with({ topic })))
    return counter
  }
}
