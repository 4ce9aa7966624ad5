/** Topics and groups: what the brokers say of them, through whatever MSG_QUEUE_ADDR is. */

import { Client, type ClientOptions, type TopicInfo } from '#wire/client'
import { Problem } from '#wire/problems'
import type { QueueStatus } from '#wire/status'
import { at } from '../ask/parameters.ts'
import type { Handlers } from '../call.ts'
import type { Group, Topic } from '../contract.ts'
import { type Body, bodyOf, countOf, numberOf, textOf } from './parts.ts'

export function topicHandlers(
  broker: Pick<ClientOptions, 'url' | 'token' | 'fetch'>,
): Handlers<'listTopics' | 'listGroups'> {
  const client = new Client({ ...broker, timeoutMs: 10_000 })
  return {
    async listTopics({ nowMs, bounds }) {
      const [topics, status] = await Promise.all([client.topics(), client.status()])
      const figures = bodyOf(status['topics'])
      const own = topics.filter(({ name }) => bounds.seesTopic(name))
      const rows = own.map((topic) => topicOf(topic, bodyOf(figures[topic.name])))
      return { as_of: at(nowMs), complete: isComplete(status), topics: rows.sort(byName) }
    },

    async listGroups({ query: { topic }, nowMs, bounds }) {
      const status = await client.status()
      const topics = Object.entries(bodyOf(status['topics']))
      const asked = topics.filter(([name]) => (topic === undefined ? bounds.seesTopic(name) : name === topic))
      if (topic !== undefined && asked.length === 0) throw unknownTopic(topic)
      const groups = asked.flatMap(([of, value]) =>
        Object.entries(bodyOf(bodyOf(value)['groups'])).map(([name, group]) => groupOf(of, name, bodyOf(group))),
      )
      groups.sort((a, b) => compare(a.topic, b.topic) || compare(a.name, b.name))
      return { as_of: at(nowMs), complete: isComplete(status), groups }
    },
  }
}

/** A proxy says whether all of its brokers answered; a broker speaks for itself. */
export function isComplete({ complete }: QueueStatus): boolean {
  return complete !== false
}

export function unknownTopic(topic: string): Problem {
  return new Problem('unknown_topic', `no broker has a topic ${topic}`)
}

function topicOf(topic: TopicInfo, figures: Body): Topic {
  return {
    name: topic.name,
    dead_letters: topic.dead_letters === true,
    partitions: topic.partitions,
    durability: topic.durability,
    strict: topic.strict === true,
    retention: topic.retention ?? null,
    retention_bytes: topic.retention_bytes ?? null,
    retention_age: topic.retention_age ?? null,
    max_bytes: topic.max_bytes ?? null,
    records: countOf(figures['records']),
    produced: countOf(figures['produced']),
    bytes: countOf(figures['bytes']),
    open: figures['open'] === undefined ? null : countOf(figures['open']),
    missing: missingOf(figures),
    groups: [...topic.groups].sort(compare),
    logs: topic.logs
      .map(({ broker, partition, log_id, first, next, records, bytes }) => ({
        broker,
        partition,
        log_id,
        first,
        next,
        records: records ?? null,
        bytes,
      }))
      .sort(byPlace),
  }
}

/** Offsets without a record, by reason. */
export function missingOf(figures: Body): Record<string, number> {
  const missing = Object.entries(bodyOf(figures['missing']))
  return Object.fromEntries(missing.map(([reason, count]) => [reason, countOf(count)]))
}

function groupOf(topic: string, name: string, group: Body): Group {
  const logs = Array.isArray(group['logs']) ? group['logs'].map(bodyOf) : []
  return {
    topic,
    name,
    mode: textOf(group['mode']),
    lag: countOf(group['lag']),
    in_flight: countOf(group['in_flight']),
    given_back: countOf(group['given_back']),
    given_up: countOf(group['given_up']),
    lost: countOf(group['lost']),
    oldest_unacknowledged_s: numberOf(group['oldest_unacknowledged_s']),
    consumers: countOf(group['consumers']),
    idle_s: numberOf(group['idle_s']),
    expires_in_s: numberOf(group['expires_in_s']),
    logs: logs
      .map((log) => ({
        broker: countOf(log['broker']),
        partition: countOf(log['partition']),
        floor: countOf(log['floor']),
        next: countOf(log['next']),
        lag: countOf(log['lag']),
        in_flight: log['in_flight'] === undefined ? null : countOf(log['in_flight']),
        consumer: textOf(log['holder']),
      }))
      .sort(byPlace),
  }
}

interface Placed {
  readonly broker: number
  readonly partition: number
}

function byPlace(a: Placed, b: Placed): number {
  return a.partition - b.partition || a.broker - b.broker
}

function byName(a: Topic, b: Topic): number {
  return compare(a.name, b.name)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
