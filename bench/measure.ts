/** What a benchmark reports, and how it is printed: one JSON object a line and measurement, a table, the machine. */

import { cpus, totalmem } from 'node:os'

/** One figure of one run. */
export interface Measurement {
  readonly suite: string
  /** What was done: `csv-to-embedded`. */
  readonly work: string
  readonly unit: string
  readonly value: number
  /** What it is held against in the same run: a program, or a limit such as `memcpy`. Without a value: what it was done by. */
  readonly peer?: string
  readonly peer_value?: number
  /** value / peer_value. */
  readonly ratio?: number
  /** How far the rounds lie apart: (highest - lowest) / median. */
  readonly spread?: number
  /** The HTTP engine, where each is measured. */
  readonly engine?: string
  /** Whatever else helps to read it. */
  readonly [extra: string]: unknown
}

/** What a suite is given. */
export interface Bench {
  /** Whether to be done in a minute and a half. */
  readonly quick: boolean
  /** Parts of the suite that are asked for; none named is all of them. */
  readonly parts: readonly string[]
  /** An empty folder that is removed afterwards. */
  readonly folder: string
  report(measurement: Omit<Measurement, 'suite' | 'ratio'>): void
  /** Says on standard error what is under way. */
  say(text: string): void
}

/** A suite: `bench/suites/<name>.ts` exports one as `run`. */
export type Suite = (bench: Bench) => Promise<void>

/** The machine, in one line. */
export function machine(): string {
  const all = cpus()
  const gib = (totalmem() / 2 ** 30).toFixed(0)
  return `${all.length} x ${all[0]?.model ?? 'unknown processor'}, ${gib} GiB, ${process.platform}, Node ${process.version}`
}

/** The measurements as an aligned table. */
export function tableOf(measurements: readonly Measurement[]): string {
  const rows = measurements.map((each) => [
    each.engine === undefined ? each.work : `${each.work}, ${each.engine}`,
    `${figureText(each.value)} ${each.unit}`,
    each.spread === undefined ? '' : `${Math.round(100 * each.spread)} %`,
    each.peer_value === undefined ? (each.peer ?? '') : `${each.peer} ${figureText(each.peer_value)}`,
    each.ratio === undefined ? '' : `${each.ratio.toFixed(2)} x`,
  ])
  const head = ['work', 'measured', 'spread', 'peer', 'ratio']
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)))
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** A figure as people read it: whole from 100 on, three digits below. */
export function figureText(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3)
}
