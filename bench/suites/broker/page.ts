/** bench/RESULTS.md and its plots, of the figures of full runs. Pure: what is written follows from the figures alone. */

import { type Bar, bars, type BarGroup } from '../../load/bars.ts'
import { markdown } from '../../load/markdown.ts'
import { plot, type Series } from '../../load/plot.ts'
import { figureText, type Measurement } from '../../measure.ts'
import { goalOf, isReached, isSlowReader } from './goals.ts'

/** A figure, and where and when it was measured. */
export interface Kept extends Measurement {
  readonly date: string
  readonly machine: string
  readonly commit: string
  /** The share of the processors that others took when the work began. */
  readonly others: number
  readonly partitions?: number
  readonly peer_how?: string
}

export interface Page {
  readonly text: string
  /** By name, without the ending. */
  readonly plots: ReadonlyMap<string, string>
}

/** As peers are called in tables. */
const titles: Readonly<Record<string, string>> = {
  node: 'Penstock, node',
  uws: 'Penstock, uws',
  redis: 'Redis Streams',
  jetstream: 'NATS JetStream',
  'jetstream-fetch': 'NATS JetStream, fetch',
  kafka: 'Kafka',
  rabbitmq: 'RabbitMQ',
  disk: 'the same, `disk`',
  loopback: 'loopback',
  cat: '`cat`',
}

const headline =
  'produce-batch-disk produce-batch-fsync produce-single-disk produce-single-fsync consume-memory consume-disk consume-client latency-20k'.split(
    ' ',
  )

const further = ['generator-single', 'batches', 'sizes', 'groups', 'rates', 'backlog-resident']

/** Older figures, but those of works that were measured again. Partitions are measured a number of them at a time. */
export function merged(old: readonly Kept[], fresh: readonly Kept[]): Kept[] {
  const keyOf = (each: Kept): string => `${each.work} ${each.partitions ?? ''}`
  const again = new Set(fresh.map(keyOf))
  return [...old.filter((each) => !again.has(keyOf(each))), ...fresh]
}

export function page(kept: readonly Kept[]): Page {
  const of = (...works: readonly string[]): Kept[] => works.flatMap((work) => kept.filter((each) => each.work === work))
  const plots = new Map<string, string>()
  const figure = (name: string, alt: string, svg: string | undefined): string => {
    if (svg === undefined) return ''
    plots.set(name, svg)
    return `![${alt}](figures/${name}.svg)`
  }
  const against = of(...headline)
  const parts = [
    opening(kept),
    '## Beside the peers',
    `Records of 200 bytes, batches of 500, 32 connections with one request in flight each; four partitions. Every peer is loaded by its own tool, as the last table says. Sides take turns in one run; a figure is the median of its rounds, and the spread is (highest - lowest) / median: where a side spreads by more than half, its ratio says little. Latency counts from when a record was due, and lower is better.`,
    comparison(against),
    missed([...against, ...of('backlog-resident')]),
    figure(
      'produce-batches',
      'Produce in batches',
      barsOf('Produce, batches of 500, records/s', of('produce-batch-disk', 'produce-batch-fsync')),
    ),
    figure(
      'produce-singles',
      'Produce, one record a request',
      barsOf('Produce, one record a request, records/s', of('produce-single-disk', 'produce-single-fsync')),
    ),
    figure('consume', 'Consume', barsOf('Consume, records/s', of('consume-memory', 'consume-disk', 'consume-client'))),
    section(
      '## What limits them',
      'Processors that the broker and our load took while they ran, of two. Where the load takes less than one, and the broker more, the broker is what is measured.',
      cores(against),
    ),
    section(
      '## Our load',
      'Our load beside `wrk` on the same broker, and on a server that only answers (`sink`).',
      comparison(of('generator-batch', 'generator-single')),
    ),
    section(
      '## Batches',
      'Records of 200 bytes, `disk`; Redis with a pipeline as long as the batch.',
      comparison(of('batches'), ['batch']),
    ),
    figure(
      'batches',
      'Records/s by batch',
      linesOf('Records/s by records of a batch', 'records of a batch', of('batches'), 'batch', {
        ticks: [1, 10, 100, 1000],
        isLogY: true,
      }),
    ),
    section('## Sizes', 'Batches of 500 records, `disk`.', comparison(of('sizes'), ['record_bytes'])),
    figure(
      'sizes',
      'Records/s by size',
      linesOf('Records/s by bytes of a record', 'bytes', of('sizes'), 'record_bytes', {
        ticks: [100, 200, 1024],
        isLogY: true,
      }),
    ),
    section(
      '## Groups',
      'The same records to each group, all at once, by readers that look at nothing.',
      comparison(of('groups'), ['groups']),
    ),
    section(
      '## Latency at fixed rates',
      'From when a record was due to when a reader has it: ms at the 50th, 99th and 99.9th percentile.',
      rates(of('latency-20k', 'rates')),
    ),
    figure(
      'rates',
      'p99 by rate',
      linesOf(
        'p99 in ms by records/s, disk',
        'records/s',
        of('latency-20k', 'rates').filter((each) => each['durability'] === 'disk'),
        'records_per_s',
        { ticks: [1_000, 5_000, 20_000, 50_000, 100_000], isLogY: true },
      ),
    ),
    section(
      '## Partitions, backlog and recovery',
      'Ten million records, `disk`, 256 MiB of `MEMORY_BYTES`. A start after `kill -9` reads what was not sealed; the page cache is warm.',
      backlogs(kept.filter((each) => each.partitions !== undefined)),
    ),
    section('## How the peers were loaded', '', hows(kept)),
  ]
  return { text: `${parts.filter((part) => part !== '').join('\n\n')}\n`, plots }
}

function opening(kept: readonly Kept[]): string {
  const each = (key: 'date' | 'machine' | 'commit'): string =>
    [...new Set(kept.map((one) => one[key]))].sort().join(', ')
  return [
    '# Results of `npm run bench -- broker`',
    'Written by the run itself, which keeps what it measured in [figures/broker.jsonl](figures/broker.jsonl); [peers/README.md](peers/README.md) says how each peer is had. Ratios hold better than absolutes: a run of your own tells more than this page.',
    `- Machine: ${each('machine')}\n- Measured: ${each('date')}, at ${each('commit')}\n- Others took ${range(kept.map(({ others }) => others))} of its processors when the works began.${absent(kept)}`,
  ].join('\n\n')
}

/** What no full run has measured yet. */
function absent(kept: readonly Kept[]): string {
  const works = new Set(kept.map(({ work }) => work))
  const missing = [...headline, ...further].filter((work) => !works.has(work))
  return missing.length === 0 ? '' : `\n- Not measured yet: ${missing.map((work) => `\`${work}\``).join(', ')}.`
}

function bandwidth(each: Kept): string {
  const gbPerS = each['gb_per_s']
  return typeof gbPerS === 'number' ? ` (${gbPerS.toFixed(2)} GB/s)` : ''
}

function range(shares: readonly number[]): string {
  const [lowest, highest] = [percent(Math.min(...shares)), percent(Math.max(...shares))]
  return lowest === highest ? lowest : `${lowest} to ${highest}`
}

function section(title: string, text: string, table: string): string {
  return table === '' ? '' : [title, text, table].filter((part) => part !== '').join('\n\n')
}

/** A row a figure and peer, with the goal where there is one. */
function comparison(kept: readonly Kept[], extra: readonly string[] = []): string {
  if (kept.length === 0) return ''
  const rows = kept.map((each) => [
    each.work,
    each.engine ?? '',
    ...extra.map((key) => number(Number(each[key]))),
    `${number(each.value)} ${each.unit}${bandwidth(each)}`,
    percent(each.spread),
    titles[each.peer ?? ''] ?? each.peer ?? '',
    each.peer_value === undefined ? '' : number(each.peer_value),
    percent(each['peer_spread']),
    each.peer_value === undefined ? '' : `${(each.value / each.peer_value).toFixed(2)} x`,
    goalText(each),
  ])
  return markdown(
    [
      'work',
      'engine',
      ...extra.map((key) => key.replaceAll('_', ' ')),
      'measured',
      'spread',
      'beside',
      'measured',
      'spread',
      'ratio',
      'goal',
    ],
    rows,
  )
}

function goalText(each: Kept): string {
  const goal = goalOf(each.work, each.engine, each.peer, each.partitions)
  if (goal === undefined || each.peer_value === undefined) return ''
  const wanted = goal.is === 'least' ? `${goal.ratio} x` : `at most ${goal.ratio} x`
  return isReached(goal, each.value / each.peer_value) ? wanted : `**${wanted}: missed**`
}

function missed(kept: readonly Kept[]): string {
  const all = kept.filter((each) => goalText(each).includes('missed'))
  const slow = kept.filter(
    (each) =>
      each.peer === 'loopback' && isSlowReader(each.work, each['gb_per_s'], each.value / (each.peer_value ?? 1)),
  )
  if (all.length + slow.length === 0) return 'Every goal that was measured is reached.'
  const readers = slow.map((each) => {
    const ratio = (each.value / (each.peer_value ?? NaN)).toFixed(2)
    return `- \`${each.work}\`, ${String(each.engine)}: ${Number(each['gb_per_s']).toFixed(2)} GB/s, where 2 GB/s or the loopback's own limit is the goal (${ratio} x of that).`
  })
  const lines = all.map((each) => {
    const goal = goalOf(each.work, each.engine, each.peer, each.partitions)
    const ratio = (each.value / (each.peer_value ?? NaN)).toFixed(2)
    return `- \`${each.work}\`, ${String(each.engine)}: ${ratio} x ${titles[each.peer ?? ''] ?? each.peer}, where ${goal?.ratio} x is the goal.`
  })
  return `Missed:\n\n${[...lines, ...readers].join('\n')}`
}

function cores(kept: readonly Kept[]): string {
  const some = kept.filter((each) => each['broker_cores'] !== undefined)
  const one = new Map(some.map((each) => [`${each.work} ${String(each.engine)}`, each]))
  if (one.size === 0) return ''
  return markdown(
    ['work', 'engine', 'broker', 'our load'],
    [...one.values()].map((each) => [
      each.work,
      String(each.engine),
      Number(each['broker_cores']).toFixed(2),
      Number(each['load_cores']).toFixed(2),
    ]),
  )
}

function rates(kept: readonly Kept[]): string {
  if (kept.length === 0) return ''
  const times = (...values: readonly unknown[]): string => values.map((value) => Number(value).toFixed(1)).join(' / ')
  return markdown(
    ['records/s', 'durability', 'engine', 'p50 / p99 / p99.9', 'spread of p99', 'NATS JetStream'],
    kept
      .toSorted((a, b) => Number(a['records_per_s']) - Number(b['records_per_s']))
      .map((each) => [
        number(Number(each['records_per_s'])),
        String(each['durability']),
        String(each.engine),
        times(each['p50_ms'], each.value, each['p999_ms']),
        percent(each.spread),
        each.peer_value === undefined ? '' : times(each['peer_p50_ms'], each.peer_value, each['peer_p999_ms']),
      ]),
  )
}

function backlogs(kept: readonly Kept[]): string {
  const groups = Map.groupBy(kept, (each) => `${String(each.partitions)} ${String(each.engine)}`)
  if (groups.size === 0) return ''
  const columns = {
    'partitions-made': 'made',
    'partitions-produce': 'produce',
    'backlog-resident': 'resident',
    'recovery-killed': 'start after kill -9',
    'recovery-resident': 'resident then',
    stop: 'stop',
    'recovery-stopped': 'start after a stop',
  }
  const rows = [...groups.values()].map((some) => {
    const cell = (work: string): string => {
      const found = some.find((each) => each.work === work)
      return found === undefined ? '' : `${number(found.value)} ${found.unit}`
    }
    const [first] = some
    return [number(Number(first?.partitions)), String(first?.engine), ...Object.keys(columns).map(cell)]
  })
  return markdown(['partitions', 'engine', ...Object.values(columns)], rows)
}

function hows(kept: readonly Kept[]): string {
  const rows = new Map<string, string[]>()
  for (const each of kept) {
    const how = each.peer_how
    if (how === undefined || each.peer === undefined) continue
    rows.set(`${each.work} ${each.peer} ${how}`, [each.work, titles[each.peer] ?? each.peer, how])
  }
  return rows.size === 0
    ? ''
    : markdown(['work', 'peer', 'how'], [...new Map([...rows.values()].map((row) => [row.join(), row])).values()])
}

/** A group of bars a work: each engine, and each peer once. */
function barsOf(title: string, kept: readonly Kept[]): string | undefined {
  const groups: BarGroup[] = []
  for (const [work, some] of Map.groupBy(kept, (each) => each.work)) {
    const found = new Map<string, Bar>()
    const add = (title: string, value: number, isOurs: boolean): void => {
      const name = title.replaceAll('`', '')
      found.set(name, { name, value, isOurs })
    }
    for (const each of some) add(titles[String(each.engine)] ?? '', each.value, true)
    for (const { peer, peer_value: value } of some) {
      if (peer !== undefined && peer !== 'disk' && value !== undefined) add(titles[peer] ?? peer, value, false)
    }
    groups.push({ title: work, bars: [...found.values()] })
  }
  return groups.length === 0 ? undefined : bars(title, groups)
}

/** A line an engine and a peer, over one of the extras. */
function linesOf(
  title: string,
  xTitle: string,
  kept: readonly Kept[],
  key: string,
  options: Parameters<typeof plot>[3],
): string | undefined {
  const lines = new Map<string, Map<number, number>>()
  const add = (name: string | undefined, x: number, y: number | undefined): void => {
    if (name === undefined || y === undefined) return
    const points = lines.get(name) ?? new Map<number, number>()
    lines.set(name, points.set(x, y))
  }
  for (const each of kept) add(titles[String(each.engine)], Number(each[key]), each.value)
  for (const each of kept) add(titles[each.peer ?? ''], Number(each[key]), each.peer_value)
  const series: Series[] = [...lines].map(([name, points]) => ({ name, points: [...points].sort(([a], [b]) => a - b) }))
  // One point is no line.
  const xs = new Set(series.flatMap(({ points }) => points.map(([x]) => x)))
  return xs.size < 2 ? undefined : plot(title, xTitle, series, options)
}

function percent(share: unknown): string {
  return typeof share === 'number' ? `${Math.round(100 * share)} %` : ''
}

/** Counts are whole. */
function number(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString('en-US') : figureText(value)
}
