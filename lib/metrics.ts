/**
 * The metrics of a process in the Prometheus text format. prom-client stands behind this file alone.
 *
 * Counters, gauges and histograms are plain numbers that prom-client reads when it is asked: its own `inc` hashes the labels
 * each time, 0.3 µs, this one's takes a few ns. A family's member is looked up once and kept.
 */

import { createRequire } from 'node:module'
import type * as prom from 'prom-client'
import { version } from './version.ts'

// Part by part: the package as a whole also loads its gateway and what it has for clusters, 0.1 s of the processor time that
// every role takes to start.
const require = createRequire(import.meta.url)
const collectDefaultMetrics = require('prom-client/lib/defaultMetrics.js') as typeof prom.collectDefaultMetrics
const PromCounter = require('prom-client/lib/counter.js') as typeof prom.Counter
const PromGauge = require('prom-client/lib/gauge.js') as typeof prom.Gauge
const Registry = require('prom-client/lib/registry.js') as typeof prom.Registry

export interface Counter {
  inc(by?: number): void
}

export interface Gauge {
  set(value: number): void
  inc(by?: number): void
  dec(by?: number): void
}

export interface Histogram {
  observe(value: number): void
}

/** One metric with labels. */
export interface Family<Label extends string, Member> {
  /** The member with these values, made when it is first asked for. Not for the hot path: keep what it returns. */
  with(labels: Readonly<Record<Label, string>>): Member
  /** Forgets a member, such as that of a partition that is gone. */
  remove(labels: Readonly<Record<Label, string>>): void
  /** Forgets all members: before a scrape that sets those that are there. */
  clear(): void
}

/** A metric as `docs/METRICS.md` tells of it. */
export interface Described {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary'
  readonly help: string
  /** Without `role`, which all have. */
  readonly labels: readonly string[]
  /** Of a histogram: its upper bounds, without the infinite one. */
  readonly buckets?: readonly number[]
}

export interface Metrics {
  readonly role: string
  /** Every metric that was registered, those of Node included, by name. */
  readonly described: readonly Described[]
  counter(name: string, help: string): Counter
  counter<Label extends string>(name: string, help: string, labels: readonly Label[]): Family<Label, Counter>
  gauge(name: string, help: string): Gauge
  gauge<Label extends string>(name: string, help: string, labels: readonly Label[]): Family<Label, Gauge>
  /** @param buckets upper bounds, rising; default {@link secondsBuckets} */
  histogram(name: string, help: string, buckets?: readonly number[]): Histogram
  histogram<Label extends string>(
    name: string,
    help: string,
    buckets: readonly number[] | undefined,
    labels: readonly Label[],
  ): Family<Label, Histogram>
  /** Called before each scrape: to set gauges that nobody wants to keep up to date all the time. */
  onScrape(callback: () => void): void
  /** The answer to a scrape. */
  text(): Promise<{ readonly type: string; readonly body: string }>
}

/** From 100 µs, a produce in memory, to 10 s, a store in trouble. */
export const secondsBuckets: readonly number[] = [
  0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]

/** From half a second to three hours: a file over a network. */
export const transferSecondsBuckets: readonly number[] = [0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 10_800]

/** What stands for all values of a label beyond the first so many. */
export const otherLabel = 'other'

/**
 * Holds a label to a bounded number of values, where others choose its texts (a group, a site): the first `max` that come
 * keep their names, all others are {@link otherLabel}. A series for each name that a client thinks of would fill any Prometheus.
 */
export function boundedLabel(max: number): (text: string) => string {
  const known = new Set<string>()
  return (text) => {
    if (known.has(text)) return text
    if (known.size >= max) return otherLabel
    known.add(text)
    return text
  }
}

/** The metrics of a process: those of Node, `penstock_build_info`, and what the role adds. All bear the label `role`. */
export function createMetrics(role: string): Metrics {
  const registry = new Registry()
  registry.setDefaultLabels({ role })
  collectDefaultMetrics({ register: registry })
  // What is open right now is another list of labels on each scrape, and says nothing that the others do not.
  for (const metric of registry.getMetricsAsArray()) {
    if (metric.name.startsWith('nodejs_active_')) registry.removeSingleMetric(metric.name)
  }
  const described: Described[] = (registry.getMetricsAsArray() as unknown as prom.Metric[]).map(describedOf)
  const callbacks: (() => void)[] = []
  const registers = [registry]
  const describe = (type: Described['type'], name: string, help: string, labels: readonly string[] = []) =>
    void described.push({ name, type, help, labels })

  const metrics: Metrics = {
    role,
    get described() {
      return described.toSorted((a, b) => (a.name < b.name ? -1 : 1))
    },
    counter: ((name: string, help: string, labels?: readonly string[]) => {
      const numbers = new Members((of) => new Member(of))
      describe('counter', name, help, labels)
      const metric = new PromCounter({ name, help, labelNames: labels ?? [], registers, collect: () => fill() })
      const fill = () => {
        metric.reset()
        for (const number of numbers.all) metric.inc(number.labels, number.value)
      }
      return labels === undefined ? numbers.with({}) : numbers
    }) as Metrics['counter'],
    gauge: ((name: string, help: string, labels?: readonly string[]) => {
      const numbers = new Members((of) => new Member(of))
      describe('gauge', name, help, labels)
      const metric = new PromGauge({ name, help, labelNames: labels ?? [], registers, collect: () => fill() })
      const fill = () => {
        metric.reset()
        for (const number of numbers.all) metric.set(number.labels, number.value)
      }
      return labels === undefined ? numbers.with({}) : numbers
    }) as Metrics['gauge'],
    histogram: ((name: string, help: string, buckets = secondsBuckets, labels?: readonly string[]) => {
      const members = new Members((of) => new Buckets(of, buckets))
      described.push({ name, type: 'histogram', help, labels: labels ?? [], buckets })
      // prom-client asks a metric for no more than this.
      const metric = {
        name,
        get: async () => ({ name, help, type: 'histogram', values: samplesOf(name, members.all) }),
      }
      registry.registerMetric(metric as unknown as prom.Metric)
      return labels === undefined ? members.with({}) : members
    }) as Metrics['histogram'],
    onScrape(callback) {
      callbacks.push(callback)
    },
    async text() {
      for (const callback of callbacks) callback()
      return { type: registry.contentType, body: await registry.metrics() }
    },
  }

  metrics.gauge('penstock_build_info', 'The version that runs; always 1', ['version']).with({ version }).set(1)
  return metrics
}

/** One number of a counter or gauge. */
class Member implements Counter, Gauge {
  readonly labels: Readonly<Record<string, string>>
  value = 0

  constructor(labels: Readonly<Record<string, string>>) {
    this.labels = labels
  }

  inc(by = 1): void {
    this.value += by
  }

  dec(by = 1): void {
    this.value -= by
  }

  set(value: number): void {
    this.value = value
  }
}

/** The counts of one histogram. */
class Buckets implements Histogram {
  readonly labels: Readonly<Record<string, string>>
  readonly bounds: readonly number[]
  /** How many fell into each bucket and into none before it; the last one has no upper bound. */
  readonly counts: Float64Array
  sum = 0

  constructor(labels: Readonly<Record<string, string>>, bounds: readonly number[]) {
    this.labels = labels
    this.bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }

  observe(value: number): void {
    // Most of what is measured is short: it is found in the first steps.
    let at = 0
    while (at < this.bounds.length && value > (this.bounds[at] as number)) at++
    this.counts[at] = (this.counts[at] as number) + 1
    this.sum += value
  }
}

/** The lines of a histogram: how many were at most as large as each bound, the sum, and how many in all. */
function samplesOf(name: string, members: Iterable<Buckets>) {
  return [...members].flatMap(({ labels, bounds, counts, sum }) => {
    let count = 0
    const buckets = [...counts].map((own, at) => {
      count += own
      return { metricName: `${name}_bucket`, labels: { le: bounds[at] ?? '+Inf', ...labels }, value: count }
    })
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: sum },
      { metricName: `${name}_count`, labels, value: count },
    ]
  })
}

/** The members of a family, by the values of their labels. */
class Members<Kind> implements Family<string, Kind> {
  readonly #members = new Map<string, Kind>()
  readonly #make: (labels: Readonly<Record<string, string>>) => Kind

  constructor(make: (labels: Readonly<Record<string, string>>) => Kind) {
    this.#make = make
  }

  get all(): Iterable<Kind> {
    return this.#members.values()
  }

  with(labels: Readonly<Record<string, string>>): Kind {
    const key = keyOf(labels)
    let member = this.#members.get(key)
    if (member === undefined) this.#members.set(key, (member = this.#make({ ...labels })))
    return member
  }

  remove(labels: Readonly<Record<string, string>>): void {
    this.#members.delete(keyOf(labels))
  }

  clear(): void {
    this.#members.clear()
  }
}

/** What prom-client keeps of a metric that it made itself. */
function describedOf(metric: prom.Metric): Described {
  const { name, help, labelNames, constructor, upperBounds } = metric as unknown as {
    readonly name: string
    readonly help: string
    readonly labelNames: readonly string[]
    readonly constructor: { readonly name: string }
    readonly upperBounds?: readonly number[]
  }
  const type = constructor.name.toLowerCase() as Described['type']
  return { name, type, help, labels: labelNames, ...(upperBounds === undefined ? {} : { buckets: upperBounds }) }
}

function keyOf(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
