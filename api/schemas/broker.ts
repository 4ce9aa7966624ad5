/** Topics and groups of the brokers, and the audit of what became of their records. */

import { asOf, closed, count, maybeNumber, nullable, text, time, truncated } from './kit.ts'
import { Type } from './type.ts'

const complete = Type.Boolean({ description: 'false: a broker does not answer, and what it has is missing here' })
const maybeText = (description: string) => nullable(Type.String(), { description })
const maybeCount = (description: string) => nullable(Type.Integer({ minimum: 0 }), { description })
const place = { broker: count('Its ordinal'), partition: count('Of the topic') }
const byReason = Type.Record(Type.String(), Type.Integer({ minimum: 0 }), {
  description: 'Offsets that hold no record though none was removed, by reason',
})

export const topic = closed(
  {
    name: text('Of the topic'),
    dead_letters: Type.Boolean({ description: 'It has the dead letters of the topic whose name it begins with' }),
    partitions: count('Records of one key are in one'),
    durability: text('What an acknowledged record survives: fsync, disk or memory'),
    strict: Type.Boolean({ description: 'No broker stands in for the owner of a partition' }),
    retention: maybeText('time, or acknowledged: what every group has acknowledged goes at once'),
    retention_bytes: maybeText('Such as 4GiB'),
    retention_age: maybeText('Such as 7d'),
    max_bytes: maybeText('Of a partition'),
    records: count('In the logs now'),
    produced: count('Ever written'),
    bytes: count('Of the logs'),
    open: maybeCount('Dead letters that nobody has dealt with; null: it has none to have'),
    missing: byReason,
    groups: Type.Array(Type.String(), { description: 'Of those who read it' }),
    logs: Type.Array(
      closed({
        ...place,
        log_id: text('One log for ever'),
        first: count('Offset of the oldest record'),
        next: count('Offset behind the newest record'),
        records: maybeCount('Fewer than next - first where records are lost'),
        bytes: count('On the disk and in memory'),
      }),
    ),
  },
  { $id: 'Topic' },
)

export const topicList = closed({ as_of: asOf, complete, topics: Type.Array(topic) }, { $id: 'TopicList' })

export const group = closed(
  {
    topic: text('That it reads'),
    name: text('Of the group'),
    mode: maybeText('exclusive or shared'),
    lag: count('Records that it has not acknowledged'),
    in_flight: count('Of them, those that are delivered'),
    given_back: count('Of them, those that wait to be delivered again'),
    given_up: count('Dead letters that it made, since the brokers started'),
    lost: count('Records that were removed before it had acknowledged them, since the brokers started'),
    oldest_unacknowledged_s: maybeNumber('Age of the record that waits longest; null: none waits'),
    consumers: count('Connected now'),
    idle_s: maybeNumber('How long nobody has read in it; null: somebody does, or did within the hour'),
    expires_in_s: maybeNumber('When it is deleted for that; null: not in sight'),
    logs: Type.Array(
      closed({
        ...place,
        floor: count('Below this offset all is acknowledged'),
        next: count('The next offset to be delivered'),
        lag: count('Records that it has not acknowledged'),
        in_flight: maybeCount('null: the broker does not tell'),
        consumer: maybeText('Who has the partition; null: nobody, or all share it'),
      }),
    ),
  },
  { $id: 'Group' },
)

export const groupList = closed({ as_of: asOf, complete, groups: Type.Array(group) }, { $id: 'GroupList' })

const counts = {
  received: count('Settled: stored + duplicate + not_reported + dead'),
  stored: count('New rows with a value'),
  duplicate: count('Records that the store had already'),
  not_reported: count('New rows without a value'),
  dead: count('That the collectors made dead letters of'),
}

export const auditTopic = closed(
  {
    topic: text('Of whose records this is the account'),
    produced: count('Offsets given out, in the logs that the brokers have'),
    ...counts,
    pending: count('Not settled by the store yet'),
    removed: Type.Integer({
      description: 'Below what is settled and never received: removed by retention, or missing from a log',
    }),
    explained: count('So many of those the brokers can explain, since their start'),
    missing: byReason,
    logs: Type.Array(
      closed({
        ...place,
        log_id: text('One log for ever'),
        ...counts,
        pending: count('Not settled by the store yet'),
        end: count('Offset behind the newest record'),
        acknowledged: maybeCount('Below this offset all is acknowledged; null: the group does not know the log'),
        settled: count('Below this offset all is settled in the store'),
      }),
    ),
    gone: Type.Array(Type.String(), {
      description: 'Logs of the ledger that no broker has any more: counted, and not to be compared',
    }),
    findings: Type.Array(Type.String(), { description: 'Where it differs, one line each' }),
  },
  { $id: 'AuditTopic' },
)

export const audit = closed(
  {
    as_of: asOf,
    complete,
    agree: Type.Boolean({ description: 'Nothing differs' }),
    group: text('The group of the collectors'),
    topics: Type.Array(auditTopic),
    rows: nullable(
      closed({
        kept: count('In the store'),
        removed: count('By its retention'),
        ledger_min: count('What the ledger had taken before they were counted'),
        ledger_max: count('And after it, with what was being written'),
        agree: Type.Boolean({ description: 'kept + removed lies between the two' }),
      }),
      { description: 'null: without `rows=true`, or the store cannot tell what was removed' },
    ),
    gaps: nullable(
      closed({
        metric: text('By whose rows'),
        start: time('Included'),
        end: time('Not included'),
        window_s: Type.Number({ description: 'A shorter gap is not seen' }),
        hosts: count('That have the metric, and were seen before the end'),
        gaps: Type.Array(
          closed({
            hostname: text('That gave nothing'),
            from: time('From this moment on'),
            to: time('Up to this one'),
            duration_s: Type.Number(),
          }),
          { description: 'By host and time' },
        ),
        truncated,
      }),
      { description: 'Times in which a host gave no row of the metric; null: no range was asked for' },
    ),
    findings: Type.Array(Type.String(), { description: 'All that differs, one line each' }),
  },
  { $id: 'Audit' },
)
