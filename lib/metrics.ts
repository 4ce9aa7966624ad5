/**
 * The metrics of a process in the Prometheus text format. prom-client stands behind this file alone.
 *
 * Counters and gauges are plain numbers that prom-client reads when it is asked: its own `inc` hashes the labels each
 * time, 0.3 µs, this one's takes a few ns. A family's member is looked up once and kept.
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
const PromHistogram = require('prom-client/lib/histogram.js') as typeof prom.Histogram
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
}

export interface Metrics {
  readonly role: string
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

/** The metrics of a process: those of Node, `penstock_build_info`, and what the role adds. All bear the label `role`. */
export function createMetrics(role: string): Metrics {
  const registry = new Registry()
  registry.setDefaultLabels({ role })
  collectDefaultMetrics({ register: registry })
  // What is open right now is another list of labels on each scrape, and says nothing that the others do not.
  for (const metric of registry.getMetricsAsArray()) {
    if (metric.name.startsWith('nodejs_active_')) registry.removeSingleMetric(metric.name)
  }
  const callbacks: (() => void)[] = []
  const registers = [registry]

  const metrics: Metrics = {
    role,
    counter: ((name: string, help: string, labels?: readonly string[]) => {
      const numbers = new Numbers()
      const metric = new PromCounter({ name, help, labelNames: labels ?? [], registers, collect: () => fill() })
      const fill = () => {
        metric.reset()
        for (const number of numbers.members.values()) metric.inc(number.labels, number.value)
      }
      return labels === undefined ? numbers.with({}) : numbers
    }) as Metrics['counter'],
    gauge: ((name: string, help: string, labels?: readonly string[]) => {
      const numbers = new Numbers()
      const metric = new PromGauge({ name, help, labelNames: labels ?? [], registers, collect: () => fill() })
      const fill = () => {
        metric.reset()
        for (const number of numbers.members.values()) metric.set(number.labels, number.value)
      }
      return labels === undefined ? numbers.with({}) : numbers
    }) as Metrics['gauge'],
    histogram: ((name: string, help: string, buckets = secondsBuckets, labels?: readonly string[]) => {
      const metric = new PromHistogram({ name, help, buckets: [...buckets], labelNames: labels ?? [], registers })
      if (labels === undefined) return metric
      return {
        with: (values: Record<string, string>) => metric.labels(values),
        remove: (values: Record<string, string>) => metric.remove(values),
      }
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

/** The members of a family, by the values of their labels. */
class Numbers implements Family<string, Member> {
  readonly members = new Map<string, Member>()

  with(labels: Readonly<Record<string, string>>): Member {
    const key = keyOf(labels)
    let member = this.members.get(key)
    if (member === undefined) {
      member = new Member({ ...labels })
      this.members.set(key, member)
    }
    return member
  }

  remove(labels: Readonly<Record<string, string>>): void {
    this.members.delete(keyOf(labels))
  }
}

function keyOf(labels: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
