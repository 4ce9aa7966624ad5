/** `POST /seek` and `DELETE /topics/T/groups/G`: a group goes on elsewhere, or is forgotten. */

import type { Answer, Request } from '#lib/http/http'
import { query, readQuery } from '#lib/http/query'
import { formatId, isName, type Offset, type Partition } from '#wire/ids'
import { Problem } from '#wire/problems'

import type { Broker } from './broker.ts'
import { areIds, startsOf } from './from.ts'
import { notWritten, topicOf } from './produce.ts'

/**
 * Lets a group go on from a place: `earliest`, `latest`, a time, or after ids, one a log (the other logs stay where they are).
 * Its consumers are cut off, and come back to the new place. Answered when that is as durable as the topic says.
 */
export async function seek(broker: Broker, request: Request): Promise<Answer> {
  const asked = readQuery(request, {
    topic: query.text({ required: true }),
    group: query.text({ required: true }),
    from: query.text({ required: true }),
  })
  const topic = topicOf(broker, asked.topic)
  known(topic.groups.named(asked.group), topic.name, asked.group)
  const starts = await startsOf(asked.from, topic.logs, broker)
  // Looked up again: it may be gone by now.
  known(topic.groups.named(asked.group), topic.name, asked.group)
  const logs = areIds(asked.from) ? topic.logs.filter(({ partition }) => starts.has(partition)) : topic.logs
  const floors = new Map(logs.map((log) => [log.partition, starts.get(log.partition) ?? log.end]))
  const { clock } = broker
  const outcome = await topic.groups.seek(asked.group, floors, clock.wallMs(), clock.monotonicMs())
  if (outcome !== 'durable') throw notWritten(outcome)
  const next = [...floors].map(([partition, offset]: [Partition, Offset]) =>
    formatId(broker.ordinal, partition, offset),
  )
  return { json: { group: asked.group, next } }
}

/** Deletes a group that has no consumers. */
export async function deleteGroup(broker: Broker, request: Request): Promise<Answer> {
  readQuery(request, {})
  const topic = topicOf(broker, request.params['topic'] ?? '')
  const name = request.params['group'] ?? ''
  if (!isName(name)) throw new Problem('bad_name', `group=${name} is not a name`)
  const { members } = known(topic.groups.named(name), topic.name, name)
  if (members.size > 0) {
    const names = [...members].slice(0, 10).map((member) => member.name)
    throw new Problem('group_in_use', `${members.size} consumers of ${name} are connected: ${names.join(', ')}`)
  }
  await topic.groups.remove(name)
  return { json: { deleted: name } }
}

function known<T>(group: T | undefined, topic: string, name: string): T {
  if (group === undefined) throw new Problem('unknown_group', `topic ${topic} has no group ${name}`)
  return group
}
