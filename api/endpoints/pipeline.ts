/** How the parts of Penstock are, and what they could not store. */

import { logLevels } from '#lib/levels'
import { lettersListedDefault, lettersListedMax } from '#wire/letters'
import type { Endpoint } from '../endpoint.ts'
import * as letters from '../schemas/letters.ts'
import { pipeline } from '../schemas/pipeline.ts'
import { closed } from '../schemas/kit.ts'
import { logLevel } from '../schemas/levels.ts'
import { Type } from '../schemas/type.ts'
import { limit, name, topicName } from './kit.ts'

export const pipelineEndpoints = {
  getPipeline: {
    method: 'GET',
    path: '/api/v1/pipeline',
    scope: 'read',
    summary: 'How the parts of Penstock are: brokers, lag, stored, dead, pending',
    query: closed({}),
    answer: pipeline,
  },
  listLetters: {
    method: 'GET',
    path: '/api/v1/dead-letters',
    also: ['/api/v1/dead'],
    scope: 'read',
    bounds: 'topics',
    summary: 'Dead letters: records that could not be stored, and rows that could not be read',
    description: 'Those that nobody has dealt with, the oldest first.',
    query: closed({
      topic: Type.Optional(topicName),
      after: Type.Optional(name('`next` of the answer before')),
      limit: Type.Optional(limit(lettersListedMax, lettersListedDefault, 'Letters')),
    }),
    answer: letters.letterList,
    rows: { of: 'letters' },
    problems: ['unknown_topic', 'unavailable'],
  },
  retryLetters: {
    method: 'POST',
    path: '/api/v1/dead-letters/retry',
    also: ['/api/v1/dead/retry'],
    scope: 'admin',
    summary: 'Send the records of dead letters again',
    description: 'They go to the topic that they came from. A row of a file is no record, and is kept with the reason.',
    query: closed({ topic: Type.Optional(topicName) }),
    body: letters.letterChoice,
    answer: letters.lettersRetried,
    problems: ['unknown_topic', 'unavailable', 'disk_full'],
  },
  dropLetters: {
    method: 'POST',
    path: '/api/v1/dead-letters/drop',
    also: ['/api/v1/dead/drop'],
    scope: 'admin',
    summary: 'Put dead letters away',
    description: 'They are listed no more; the broker keeps them as long as its retention says.',
    query: closed({ topic: Type.Optional(topicName) }),
    body: letters.letterChoice,
    answer: letters.lettersDropped,
    problems: ['unknown_topic', 'unavailable'],
  },
  getLogLevel: {
    method: 'GET',
    path: '/api/v1/log-level',
    also: ['/log-level'],
    scope: 'admin',
    summary: 'The log level of this API',
    query: closed({}),
    answer: logLevel,
  },
  setLogLevel: {
    method: 'PUT',
    path: '/api/v1/log-level',
    also: ['/log-level'],
    scope: 'admin',
    summary: 'Change the log level of this API until it is started again',
    description: 'Of the replica that answers alone. `LOG_LEVEL` is the level of the next start.',
    query: closed({ level: Type.Enum([...logLevels], { description: 'From this level on lines are written' }) }),
    answer: logLevel,
  },
} as const satisfies Record<string, Endpoint>
