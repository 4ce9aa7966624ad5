/** One line over time, by uPlot. */

import { useEffect, useRef } from 'preact/hooks'
import UPlot from 'uplot'
import type { Theme } from '../model/colour.ts'
import type { Line } from '../model/series.ts'
import { useWidth } from './heat-map.tsx'

interface ChartProps {
  readonly line: Line
  readonly domain: readonly [number, number]
  /** In seconds. */
  readonly range: readonly [number, number]
  readonly theme: Theme
  readonly name: string
  text(value: number | null): string
}

const height = 128

const inks = {
  dark: { line: '#4cc9dc', fill: 'rgb(76 201 220 / 0.14)', axis: '#8ea0ae', grid: '#27343e' },
  light: { line: '#0b7285', fill: 'rgb(11 114 133 / 0.10)', axis: '#5a6a76', grid: '#e4eaee' },
} as const

export function Chart(props: ChartProps) {
  const { line, domain, range, theme, name } = props
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot | undefined>(undefined)
  const width = useWidth(box)
  // The scales read what is newest: uPlot asks for it at each drawing.
  const newest = useRef(props)
  newest.current = props

  useEffect(() => {
    if (box.current === null || width === 0) return
    plot.current = new UPlot(optionsOf(newest, theme, width), newest.current.line, box.current)
    return () => plot.current?.destroy()
  }, [theme, width === 0])
  useEffect(() => {
    if (width > 0) plot.current?.setSize({ width, height })
  }, [width])
  useEffect(() => plot.current?.setData(line), [line, domain[1], range[1]])
  return <div class="plot" ref={box} role="img" aria-label={name} data-testid="chart" />
}

function optionsOf(newest: { readonly current: ChartProps }, theme: Theme, width: number): UPlot.Options {
  const ink = inks[theme]
  const axis: UPlot.Axis = {
    stroke: ink.axis,
    font: '11px ui-sans-serif, system-ui, sans-serif',
    grid: { stroke: ink.grid, width: 1 },
    ticks: { show: false },
  }
  return {
    width,
    height,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6, fill: ink.line }, sync: { key: 'gpu' } },
    scales: {
      x: { time: true, range: () => [...newest.current.range] as [number, number] },
      y: { range: () => [...newest.current.domain] as [number, number] },
    },
    axes: [
      { ...axis, space: 60, size: 24, values: (_, times) => times.map((time) => clock(time)) },
      { ...axis, size: 38, space: 28 },
    ],
    series: [
      {},
      {
        stroke: ink.line,
        fill: ink.fill,
        width: 1.6,
        spanGaps: false,
        // A value with nothing beside it has no line: only a dot shows it.
        points: { show: true, size: 5, fill: ink.line, width: 0, filter: lonely },
      },
    ],
    hooks: { setCursor: [(plot) => showValue(plot, newest.current)] },
  }
}

function lonely(plot: UPlot, _series: number, isShown: boolean): number[] | null {
  const values = plot.data[1] as (number | null)[]
  if (!isShown && values.length === 0) return null
  return values.flatMap((value, at) =>
    value !== null && (values[at - 1] ?? null) === null && (values[at + 1] ?? null) === null ? [at] : [],
  )
}

/** The value under the pointer, in a corner of the chart. */
function showValue(plot: UPlot, { text }: ChartProps): void {
  let label = plot.over.querySelector<HTMLElement>('.reading')
  if (label === null) {
    label = document.createElement('div')
    label.className = 'reading'
    plot.over.append(label)
  }
  const at = plot.cursor.idx
  const time = at === null || at === undefined ? undefined : plot.data[0][at]
  label.hidden = time === undefined
  if (time === undefined || at === null || at === undefined) return
  const value = plot.data[1]?.[at] ?? null
  label.textContent = `${clock(time, true)}  ${text(value)}`
}

/** In the time of the reader, who sees the date beside the newest value. */
function clock(time: number, withSeconds = false): string {
  return new Date(time * 1000).toTimeString().slice(0, withSeconds ? 8 : 5)
}
