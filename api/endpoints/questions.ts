/** Questions over the fleet: a metric by groups over time, and the most or the least of it. */

import type { Endpoint } from '../endpoint.ts'
import { windowFill, windowFunction } from '../schemas/gpus.ts'
import { closed } from '../schemas/kit.ts'
import * as questions from '../schemas/questions.ts'
import { Type } from '../schemas/type.ts'
import { duration, limit, name, when } from './kit.ts'

const groupBy = (fallback: string) =>
  Type.Optional(
    Type.String({
      maxLength: 100,
      description: `Some of host, model, gpu, namespace, pod, job, user, with commas; default: ${fallback}`,
      examples: ['namespace,user'],
    }),
  )

const asked = {
  metric: name('Canonical name or an alias'),
  fn: Type.Optional(windowFunction),
  over: Type.Optional(questions.over),
  where: Type.Optional(
    Type.Array(name('`name=text`, the name one of host, model (part of its name), gpu, namespace, pod, job, user'), {
      maxItems: 64,
      description: 'May be repeated: of one name any of the texts, of several names all',
      examples: [['host=node-1']],
    }),
  ),
}

const twoSteps =
  'In two steps: in a window the values of each series become one by `fn` (default: mean of a gauge, rate of a counter, ' +
  'increase of events, last of a state, bits of a mask), and those of a group become one by `over` (default: min of min, ' +
  'max of max, sum of amounts, bits of bits, max of states, else mean). GPU metrics only.'

export const questionsEndpoints = {
  query: {
    method: 'GET',
    path: '/api/v1/query',
    scope: 'read',
    bounds: 'filtered',
    summary: 'One metric over the fleet, by any grouping',
    description:
      `${twoSteps} A GPU counts for whose it was at the start of the window. Without \`start\` it is the hour before ` +
      '`end`. With `at` it is one window that ends with that moment (included; 5 minutes long unless `window` says), and ' +
      'whose it was then. At most 1,000 windows, and 200,000 values of series to read.',
    query: closed({
      ...asked,
      group_by: groupBy('one group of all'),
      start: Type.Optional(when('Included')),
      end: Type.Optional(when('Not included; default: behind the newest value, or now')),
      at: Type.Optional(when('Instead of a range')),
      window: Type.Optional(duration('Default: a 90th of the range, 1 s at least')),
      fill: Type.Optional(windowFill),
      limit: Type.Optional(limit(1_000, 100, 'Groups')),
      cursor: Type.Optional(name('Of the page before, with the other parameters as they were')),
    }),
    answer: questions.answer,
    queued: true,
    problems: ['unknown_metric'],
  },
  getTop: {
    method: 'GET',
    path: '/api/v1/top',
    scope: 'read',
    bounds: 'filtered',
    summary: 'The GPUs, or groups of them, with the most or the least of a metric',
    description: `${twoSteps} Of one window that ends with \`at\`. A GPU counts for whose it was then.`,
    query: closed({
      ...asked,
      group_by: groupBy('gpu'),
      window: Type.Optional(duration('Default: 15m')),
      at: Type.Optional(when('The last moment of the window; default: that of the newest value')),
      order: Type.Optional(Type.Enum(['desc', 'asc'], { description: 'Default: desc, the most first' })),
      n: Type.Optional(limit(1_000, 10, 'Groups')),
    }),
    answer: questions.top,
    queued: true,
    problems: ['unknown_metric'],
  },
} as const satisfies Record<string, Endpoint>
