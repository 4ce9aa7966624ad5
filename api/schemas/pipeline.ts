/** How the parts of Penstock are. */

import { closed, nullable, text, count, maybeNumber, asOf } from './kit.ts'
import { Type } from './type.ts'

const partState = Type.Enum(['up', 'down', 'starting', 'draining'], {
  description: 'down: it does not answer; starting: it answers and is not ready',
})
const partError = nullable(Type.String(), { description: 'Why it is not up, in one line; null: it is' })
const part = { state: partState, error: partError }

export const brokerPart = closed(
  {
    ...part,
    broker: nullable(Type.Integer(), { description: 'Its ordinal; null: it never told' }),
    url: text('Where the API, or the proxy, reaches it'),
    version: nullable(Type.String()),
    uptime_s: nullable(Type.Number()),
  },
  { $id: 'BrokerPart' },
)

export const groupPart = closed(
  {
    name: text('Of the group'),
    mode: nullable(Type.String(), { description: 'exclusive or shared' }),
    lag: count('Records that the group has not acknowledged'),
    in_flight: count('Of them, those that are delivered'),
    oldest_unacknowledged_s: maybeNumber('Age of the oldest of them'),
    consumers: count('Connected now'),
  },
  { $id: 'GroupPart' },
)

export const topicPart = closed(
  {
    name: text('Of the topic'),
    records: count('In the logs now'),
    produced: count('Ever written'),
    bytes: Type.Number({ description: 'Of the logs' }),
    dead: count('Dead letters of the topic'),
    groups: Type.Array(groupPart),
  },
  { $id: 'TopicPart' },
)

const counts = {
  received: count('Records settled: stored + duplicate + not_reported + dead'),
  stored: count('New rows with a value'),
  duplicate: count('Records that the store had already'),
  not_reported: count('New rows without a value'),
  dead: count('Dead letters'),
}

export const sourcePart = closed(
  {
    name: text('Of the file or feed'),
    rows: count('Settled: acknowledged by the broker, or dead-lettered'),
    dead: count('Dead-lettered'),
    bytes: nullable(Type.Number(), { description: 'Read so far' }),
    size: nullable(Type.Number(), { description: 'In all; null: not known' }),
    done: Type.Boolean(),
    error: nullable(Type.String(), { description: 'Why it cannot be read on' }),
  },
  { $id: 'SourcePart' },
)

export const pipeline = closed(
  {
    as_of: asOf,
    demo: Type.Boolean({ description: 'The values are of a fleet that does not exist' }),
    state: Type.Enum(['ok', 'degraded'], {
      description: 'degraded: a part that the API knows of is not up',
    }),
    proxy: nullable(closed({ ...part, url: text('MSG_QUEUE_ADDR') }), { description: 'null: one broker, no proxy' }),
    brokers: Type.Array(brokerPart),
    topics: Type.Array(topicPart, {
      description: 'Summed over the brokers that answer; without the dead-letter topics',
    }),
    streamer: nullable(
      closed({
        ...part,
        read: count('Rows settled on its side'),
        sent: count('Records acknowledged by the broker'),
        dead: count('Rows that went to the dead letters'),
        done: Type.Boolean({ description: 'Every source is at its end and everything is acknowledged' }),
        sources: Type.Array(sourcePart),
      }),
      { description: 'null: STREAMER_URL is not set' },
    ),
    collector: nullable(closed({ ...part, ...counts, pending: count('Received and not yet written') }), {
      description: 'null: COLLECTOR_URL is not set',
    }),
    store: closed({
      ...part,
      ...counts,
      bytes: nullable(Type.Number(), { description: 'On its disk' }),
    }),
    totals: closed({
      stored: count('Rows in the store with a value'),
      dead: count('Dead letters, of the brokers and of the streamer'),
      lag: count('Records that no group member has acknowledged, over all groups'),
      pending: count('Records that are on their way: the lag of the collector’s group'),
    }),
  },
  { $id: 'Pipeline' },
)
