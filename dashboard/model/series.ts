/** Values over time as lines: a line ends where nothing was reported, and goes on where something is again. */

import type { TelemetrySeries } from '#api/contract'
import { gapAfterMs, type Point, usualInterval } from './history.ts'
import { type Focus, memoryShare, metricNames, type Quantity } from './metrics.ts'

/** What uPlot takes: seconds, values; `null` where the line must not go on. */
export type Line = [timesS: number[], values: (number | null)[]]

export const ranges = { '15 min': 900_000, '1 h': 3_600_000, '6 h': 21_600_000, '24 h': 86_400_000 } as const
export type Range = keyof typeof ranges
export const rangeNames = Object.keys(ranges) as Range[]

/** As many windows as a chart of a few hundred pixels can show. */
const windowsMax = 240

/** The window that the API makes of a range, in seconds. */
export function windowS(range: Range): number {
  return Math.max(1, Math.ceil(ranges[range] / windowsMax / 1000))
}

/** What the charts draw, in the units of {@link focuses}. */
export function pointsOf(series: readonly TelemetrySeries[]): Record<Focus, Point[]> {
  const of = (quantity: Quantity): Point[] =>
    series
      .find(({ metric, labels }) => metric === metricNames[quantity] && Object.keys(labels).length === 0)
      ?.values.map(({ time, value }) => ({ timeMs: Date.parse(time), value })) ?? []
  const free = new Map(of('free').map(({ timeMs, value }) => [timeMs, value]))
  return {
    utilisation: of('utilisation'),
    power: of('power'),
    temperature: of('temperature'),
    memory: of('used').map(({ timeMs, value }) => ({ timeMs, value: memoryShare(value, free.get(timeMs) ?? null) })),
  }
}

/**
 * Puts newer points behind those of an answer: the stream is ahead of the store.
 *
 * @param stepMs of the windows: what came in the last one is in it already
 */
export function joined(older: readonly Point[], newer: readonly Point[], stepMs: number): Point[] {
  const last = older.at(-1)?.timeMs
  const end = last === undefined ? -Infinity : last + stepMs
  return [...older, ...newer.filter(({ timeMs }) => timeMs >= end)]
}

/** @param stepMs what a point stands for, where it is a window; a distance of that is no gap */
export function lineOf(points: readonly Point[], stepMs = 0): Line {
  const times: number[] = []
  const values: (number | null)[] = []
  const gapMs = Math.max(gapAfterMs(usualInterval(points.map(({ timeMs }) => timeMs))), stepMs * 2.5)
  for (const [at, { timeMs, value }] of points.entries()) {
    const before = points[at - 1]
    if (before !== undefined && timeMs - before.timeMs > gapMs) {
      times.push((before.timeMs + timeMs) / 2000)
      values.push(null)
    }
    times.push(timeMs / 1000)
    values.push(value)
  }
  return [times, values]
}

export interface Sparkline {
  /** Of an SVG; lines with gaps. */
  readonly path: string
  /** Points that stand alone: a line cannot show them. */
  readonly dots: readonly { readonly x: number; readonly y: number }[]
}

/** @param domain what is at the bottom and at the top */
export function sparklineOf(
  points: readonly Point[],
  { endMs, spanMs, width, height }: { endMs: number; spanMs: number; width: number; height: number },
  domain: readonly [number, number],
): Sparkline {
  const [times, values] = lineOf(points.filter(({ timeMs }) => timeMs >= endMs - spanMs))
  // A dot at the newest end must not be cut in half.
  const right = width - 3
  const x = (at: number) => round(right - ((endMs / 1000 - (times[at] as number)) / (spanMs / 1000)) * right)
  const y = (value: number) => {
    const share = Math.min(1, Math.max(0, (value - domain[0]) / (domain[1] - domain[0])))
    return round(height - 1.5 - share * (height - 3))
  }
  let path = ''
  const dots: { x: number; y: number }[] = []
  for (const [at, value] of values.entries()) {
    if (value === null) continue
    const follows = (values[at - 1] ?? null) !== null
    const goesOn = (values[at + 1] ?? null) !== null
    if (follows || goesOn) path += `${follows ? 'L' : 'M'}${x(at)} ${y(value)}`
    else dots.push({ x: x(at), y: y(value) })
  }
  return { path, dots }
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
