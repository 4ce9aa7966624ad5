/** The HTTP face of the broker: DESIGN section 6, docs/PROTOCOL.md. */

import type { Route } from '#lib/http/http'
import type { Tracer } from '#lib/tracing'
import type { BrokerStatus, GroupStatus, TopicStatus } from '#wire/status'

import { drain, optionsBytesMax, patchTopic, putTopic } from './admin.ts'
import type { Broker } from './broker.ts'
import type { Consumers } from './consume.ts'
import type { Group } from './groups/group.ts'
import { deskBytesMax, dropLetters, listLetters, openCount, retryLetters } from './letters.ts'
import { missingIn } from './log/holes.ts'
import { writeOptions } from './options.ts'
import { bury, produce, type OnProduced } from './produce.ts'
import { deleteGroup, seek } from './seek.ts'
import { acknowledge, extend, nack, settleBytesMax } from './settle.ts'
import type { Topic } from './topic.ts'
import { groupsOf, sumOf, waitingOf } from './waiting.ts'

/** A group that nobody has read in for so long is told of as idle. */
const idleToldMs = 3_600_000

/** What the routes serve, once the logs are recovered. */
export interface Engine {
  readonly broker: Broker
  readonly consumers: Consumers
}

/**
 * The routes of a broker, but those that every role has.
 *
 * @param engine throws the Problem `starting` until the logs are recovered
 */
export function brokerRoutes(
  engine: () => Engine,
  limits: { readonly maxBodyBytes: number; readonly maxRecordBytes: number },
  onProduced: OnProduced,
  tracer?: Tracer,
): Route[] {
  const { maxBodyBytes: bodyBytesMax, maxRecordBytes } = limits
  return [
    {
      method: 'POST',
      path: '/produce',
      bodyBytesMax,
      handle: (request, body) => produce(engine().broker, request, body, maxRecordBytes, onProduced, tracer),
    },
    {
      method: 'POST',
      path: '/dead',
      bodyBytesMax,
      // A dead letter carries the record it speaks of, and says more.
      handle: (request, body) => bury(engine().broker, request, body, 2 * maxRecordBytes, onProduced),
    },
    { method: 'GET', path: '/dead', handle: (request) => listLetters(engine().broker, request) },
    {
      method: 'POST',
      path: '/dead/retry',
      bodyBytesMax: deskBytesMax,
      handle: (request, body) => retryLetters(engine().broker, request, body, maxRecordBytes, onProduced),
    },
    {
      method: 'POST',
      path: '/dead/drop',
      bodyBytesMax: deskBytesMax,
      handle: (request, body) => dropLetters(engine().broker, request, body),
    },
    { method: 'GET', path: '/consume', handle: (request) => engine().consumers.open(request) },
    {
      method: 'POST',
      path: '/ack',
      bodyBytesMax: settleBytesMax,
      handle: (request, body) => acknowledge(engine().broker, request, body),
    },
    {
      method: 'POST',
      path: '/nack',
      bodyBytesMax: settleBytesMax,
      handle: (request, body) => nack(engine().broker, request, body),
    },
    {
      method: 'POST',
      path: '/extend',
      bodyBytesMax: settleBytesMax,
      handle: (request, body) => extend(engine().broker, request, body),
    },
    { method: 'POST', path: '/seek', bodyBytesMax: 0, handle: (request) => seek(engine().broker, request) },
    {
      method: 'DELETE',
      path: '/topics/{topic}/groups/{group}',
      handle: (request) => deleteGroup(engine().broker, request),
    },
    { method: 'PUT', path: '/drain', bodyBytesMax: 0, handle: (request) => drain(engine().broker, request, true) },
    { method: 'DELETE', path: '/drain', handle: (request) => drain(engine().broker, request, false) },
    {
      method: 'GET',
      path: '/topics',
      handle: () => ({ json: { topics: [...engine().broker.topics].map(describeTopic) } }),
    },
    {
      method: 'PUT',
      path: '/topics/{topic}',
      bodyBytesMax: optionsBytesMax,
      handle: (request, body) => putTopic(engine().broker, request, body),
    },
    {
      method: 'PATCH',
      path: '/topics/{topic}',
      bodyBytesMax: optionsBytesMax,
      handle: (request, body) => patchTopic(engine().broker, request, body),
    },
  ]
}

/** What `GET /topics` says of a topic. */
function describeTopic(topic: Topic): Record<string, unknown> {
  return {
    name: topic.name,
    ...writeOptions(topic.options),
    ...(topic.isDead ? { dead_letters: true } : {}),
    logs: topic.logs.map((log) => ({
      broker: log.broker,
      partition: log.partition,
      log_id: log.logId,
      first: log.first,
      next: log.end,
      records: log.records,
      bytes: log.bytes,
    })),
    groups: groupsOf(topic).map((group) => group.name),
  }
}

/** What `GET /status` says of the broker. */
export function describeBroker(broker: Broker): BrokerStatus {
  const { space, bytes: floorBytes, reached } = broker.floor
  return {
    broker: broker.ordinal,
    draining: broker.draining,
    ...(space === undefined
      ? {}
      : {
          disk: {
            free_bytes: space.freeBytes,
            total_bytes: space.totalBytes,
            floor_bytes: floorBytes,
            ...(reached === undefined ? {} : { full: reached }),
          },
        }),
    topics: Object.fromEntries([...broker.topics].map((topic) => [topic.name, figuresOf(broker, topic)])),
  }
}

function figuresOf(broker: Broker, topic: Topic): TopicStatus {
  return {
    records: sumOf(topic.logs, (log) => log.records),
    produced: sumOf(topic.logs, (log) => log.end),
    bytes: sumOf(topic.logs, (log) => log.bytes),
    missing: missingIn(topic.logs.flatMap((log) => log.holes)),
    ...(topic.isDead ? { open: openCount(topic) } : {}),
    groups: Object.fromEntries(
      groupsOf(topic).map((group) => {
        const logs = topic.logs.map((log) => ({
          broker: log.broker,
          partition: log.partition,
          ...group.figures(log.partition),
        }))
        const { lag, inFlight, oldestS } = waitingOf(broker, topic, group)
        return [
          group.name,
          {
            mode: group.kind.mode,
            ...idleOf(broker, topic, group),
            ...(oldestS === undefined ? {} : { oldest_unacknowledged_s: Math.floor(oldestS) }),
            lag,
            in_flight: inFlight,
            given_back: sumOf(logs, (log) => log.givenBack),
            given_up: topic.givenUp.get(group.name) ?? 0,
            consumers: group.members.size,
            lost: topic.lost.get(group.name) ?? 0,
            logs: logs.map(({ broker, partition, floor, next, lag, inFlight, holder }) => ({
              broker,
              partition,
              floor,
              next,
              lag,
              in_flight: inFlight,
              holder,
            })),
          },
        ]
      }),
    ),
  }
}

/** How long nobody has read in a group, and what becomes of it: told long before. */
function idleOf(broker: Broker, topic: Topic, group: Group): Pick<GroupStatus, 'idle_s' | 'expires_in_s'> {
  const idleMs = topic.groups.idleMs(group.name, broker.clock.monotonicMs())
  const { groupExpiryMs } = broker
  if (group.members.size > 0 || idleMs < Math.min(groupExpiryMs / 2, idleToldMs)) return {}
  const idle = { idle_s: Math.floor(idleMs / 1000) }
  if (groupExpiryMs === Infinity) return idle
  return { ...idle, expires_in_s: Math.max(0, Math.floor((groupExpiryMs - idleMs) / 1000)) }
}
