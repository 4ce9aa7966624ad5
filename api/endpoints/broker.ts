/** What the brokers have, who reads it, and whether all of it arrived. */

import type { Endpoint } from '../endpoint.ts'
import * as broker from '../schemas/broker.ts'
import { closed } from '../schemas/kit.ts'
import { Type } from '../schemas/type.ts'
import { duration, name, topicName, when } from './kit.ts'

const anyTopic = { ...topicName, description: 'Of this topic only' }

export const brokerEndpoints = {
  listTopics: {
    method: 'GET',
    path: '/api/v1/topics',
    scope: 'read',
    bounds: 'topics',
    summary: 'Topics of the brokers, with their logs',
    query: closed({}),
    answer: broker.topicList,
    problems: ['unavailable'],
  },
  listGroups: {
    method: 'GET',
    path: '/api/v1/groups',
    scope: 'read',
    bounds: 'topics',
    summary: 'Groups that read: lag, in flight, the oldest record that waits, by topic, broker and partition',
    query: closed({ topic: Type.Optional(anyTopic) }),
    answer: broker.groupList,
    problems: ['unknown_topic', 'unavailable'],
  },
  getAudit: {
    method: 'GET',
    path: '/api/v1/audit',
    scope: 'read',
    summary:
      'What became of every record: received, stored, duplicate, not reported, dead, pending; and where it differs',
    description:
      'By topic and log, as `penstock audit`. The ledger counts records by their place in a log and not by time, so these ' +
      'counts are of all time; with `start` or `end` the answer also has the `gaps` of that range.',
    query: closed({
      topic: Type.Optional(anyTopic),
      rows: Type.Optional(
        Type.Enum(['true', 'false'], {
          description: 'Count the rows of the store, too: seconds where it has many millions. Default: false',
        }),
      ),
      start: Type.Optional(when('Included; default: a day before `end`')),
      end: Type.Optional(when('Not included; default: now')),
      window: Type.Optional(duration('The shortest gap that counts; default: a 90th of the range, 90 s at least')),
      metric: Type.Optional(name('By whose rows gaps are seen; default: DCGM_FI_DEV_GPU_UTIL')),
    }),
    answer: broker.audit,
    problems: ['unknown_topic', 'unavailable'],
  },
} as const satisfies Record<string, Endpoint>
