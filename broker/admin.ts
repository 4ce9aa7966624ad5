/** A topic is made, or changed (`PUT` and `PATCH /topics/T`); the broker is emptied (`PUT` and `DELETE /drain`). */

import type { Answer, Request } from '#lib/http/http'
import { query, readQuery } from '#lib/http/query'
import { deadSuffix } from '#wire/ids'
import { Problem } from '#wire/problems'

import type { Broker } from './broker.ts'
import { isDiskFull } from './disk/disk.ts'
import { isTopicName, optionNames, readOptions, writeOptions, type GivenOptions } from './options.ts'
import { notWritten } from './produce.ts'
import type { TopicChange } from './topics.ts'

/** All options, written as long as can be. */
export const optionsBytesMax = 4_096

/** Makes the topic of the path, with the options of the body; 200 when it is there and is as asked. */
export async function putTopic(broker: Broker, request: Request, body: Uint8Array): Promise<Answer> {
  const name = nameOf(request)
  const given = optionsOf(body)
  return answerOf(name, await changed(broker.createTopic(name, given)))
}

/** Changes the options of the topic that the body names, and no other. */
export async function patchTopic(broker: Broker, request: Request, body: Uint8Array): Promise<Answer> {
  const name = nameOf(request)
  const given = optionsOf(body)
  if (Object.keys(given).length === 0) {
    throw new Problem('bad_option', `the body names no option: want ${optionNames.join(', ')}`)
  }
  return answerOf(name, await changed(broker.alterTopic(name, given)))
}

/** Begins to empty the broker, or ends that: it takes no records, and serves who consumes and acknowledges. */
export async function drain(broker: Broker, request: Request, draining: boolean): Promise<Answer> {
  const { broker: asked = broker.ordinal } = readQuery(request, { broker: query.integer({ min: 0 }) })
  if (asked !== broker.ordinal) throw new Problem('wrong_broker', `this is broker ${broker.ordinal}, not ${asked}`)
  await changed(broker.drain(draining))
  return { json: { broker: broker.ordinal, draining } }
}

function nameOf(request: Request): string {
  readQuery(request, {})
  const { topic = '' } = request.params
  if (topic.endsWith(deadSuffix)) {
    throw new Problem('dead_topic', `${topic} is made, and changed, with the topic whose dead letters it holds`)
  }
  if (!isTopicName(topic))
    throw new Problem('bad_name', `topic ${topic} is not a name, or too long to add ${deadSuffix}`)
  return topic
}

function optionsOf(body: Uint8Array): GivenOptions {
  const want = 'want a JSON object such as {"partitions":4,"retention_age":"30d"}'
  let values: unknown
  try {
    values = body.length === 0 ? {} : JSON.parse(Buffer.from(body).toString('utf8'))
  } catch {
    throw new Problem('bad_request', `the body is no JSON: ${want}`)
  }
  if (typeof values !== 'object' || values === null || Array.isArray(values)) throw new Problem('bad_request', want)
  const options = readOptions(values as Record<string, unknown>)
  if ('wrong' in options) throw new Problem('bad_option', options.wrong)
  return options
}

async function changed<T>(change: Promise<T>): Promise<T> {
  try {
    return await change
  } catch (error) {
    // What has no code is no answer of the system, but an error of ours.
    if (typeof (error as { code?: unknown }).code !== 'string') throw error
    throw notWritten(isDiskFull(error) ? 'disk_full' : 'not_writable')
  }
}

function answerOf(name: string, change: TopicChange): Answer {
  if (change.outcome === 'unknown') throw new Problem('unknown_topic', `there is no topic ${name}`)
  if (change.outcome === 'wrong') throw new Problem('bad_option', change.detail)
  if (change.outcome === 'differs') throw new Problem('topic_differs', change.detail)
  const { topic, partitionsBefore } = change
  const { partitions } = topic.options
  return {
    status: change.outcome === 'made' ? 201 : 200,
    json: {
      name,
      ...writeOptions(topic.options),
      ...(partitionsBefore === undefined
        ? {}
        : {
            keys_map_anew: true,
            note:
              `there were ${partitionsBefore} partitions, there are ${partitions}: ` +
              'keys map anew, and records of one key may stand in two partitions',
          }),
    },
  }
}
