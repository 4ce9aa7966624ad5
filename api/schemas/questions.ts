/** Answers to questions over the fleet: a metric by groups over time, and the most or the least of it. */

import { asOf, closed, count, maybeNumber, nullable, text, time, truncated } from './kit.ts'
import { gpuReference, windowFunction } from './gpus.ts'
import { Type } from './type.ts'

export const over = Type.Enum(['sum', 'mean', 'min', 'max', 'p50', 'p95', 'p99', 'count', 'bits'], {
  $id: 'Over',
  description: 'What the series of a group become, each having become one value by `fn`',
})

/** What a group may be named by. */
export const group = closed(
  {
    host: Type.Optional(text('The host that reported it last')),
    model: Type.Optional(text('Such as NVIDIA H100 80GB HBM3')),
    gpu: Type.Optional(text('What `/api/v1/gpus/{id}` takes')),
    namespace: Type.Optional(text('Empty: none')),
    pod: Type.Optional(text('Empty: none')),
    job: Type.Optional(text('The label hpc_job; empty: none')),
    user: Type.Optional(text('The label user; empty: none')),
  },
  { $id: 'Group', description: 'The names that `group_by` asks for; without it the group of all has none' },
)

const asked = {
  metric: text('Canonical name'),
  unit: nullable(Type.String(), { description: 'Of the values; null: the catalogue does not know the metric' }),
  fn: windowFunction,
  over,
  group_by: Type.Array(Type.String(), { description: 'As asked' }),
  start: time('Included'),
  end: time('Not included'),
}

export const answer = closed(
  {
    as_of: asOf,
    ...asked,
    window_s: Type.Number({ description: 'Length of the windows' }),
    series: Type.Array(
      closed({
        group,
        gpus: count('Devices that have a value in the range'),
        values: Type.Array(
          closed({
            time: time('Start of the window; with `at` that moment'),
            value: maybeNumber('null: none reported'),
            gpus: count('Devices that reported a value in the window'),
          }),
          { description: 'By time' },
        ),
      }),
      { description: 'A group each, by their names' },
    ),
    truncated,
    cursor: nullable(Type.String(), { description: 'Goes on behind the last group; null: nothing follows' }),
  },
  { $id: 'Answer' },
)

export const top = closed(
  {
    as_of: asOf,
    ...asked,
    order: Type.Enum(['desc', 'asc']),
    groups: count('Groups with a value, of which these are the first'),
    top: Type.Array(
      closed({
        rank: Type.Integer({
          minimum: 1,
          description: 'From 1; groups with equal values are in the order of their names',
        }),
        group,
        gpu: Type.Union([gpuReference, Type.Null()], { description: 'null: not grouped by gpu' }),
        value: Type.Number({ description: 'In `unit`' }),
        gpus: count('Devices that reported a value'),
      }),
    ),
  },
  { $id: 'Top' },
)
