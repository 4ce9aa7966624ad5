/** Hosts by GPUs, a cell each, coloured by one quantity. A canvas: thousands of cells are redrawn in a few milliseconds. */

import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { PartProps } from '../app.tsx'
import { gradient } from '../model/colour.ts'
import { focusValue, type GpuState, isStale, labelOf } from '../model/fleet.ts'
import * as format from '../model/format.ts'
import { type Cell, cellAt, type Grid, gridOf, neighbour } from '../model/grid.ts'
import { domainOf, type Focus, focuses, focusNames } from '../model/metrics.ts'
import { drawGrid } from './heat-map-drawing.ts'

export function HeatMap({ state, actions, gpus }: PartProps & { gpus: readonly GpuState[] }) {
  const { focus, theme, nowMs, picked, fleet, fleetVersion } = state
  const box = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const width = useWidth(box)
  const [hovered, setHovered] = useState<string | undefined>()
  const [hasFocus, setHasFocus] = useState(false)
  // Where cells are depends on which GPUs there are, not on their values.
  const grid = useMemo(() => gridOf(gpus, Math.max(200, width)), [fleet.members, width])
  const domain = domainOf(
    focus,
    gpus.map((gpu) => focusValue(gpu, focus)),
  )
  const cellOf = (id: string | undefined) => grid.cells.find(({ gpu }) => gpu.id === id)
  const [pickedCell, hoveredCell] = [cellOf(picked), cellOf(hovered)]

  useEffect(() => {
    if (canvas.current === null || width === 0) return
    drawGrid(canvas.current, { grid, width, focus, theme, nowMs, domain, picked: pickedCell, hovered: hoveredCell })
  }, [grid, width, focus, theme, fleetVersion, nowMs, picked, hovered])

  const at = (event: MouseEvent) => cellAt(grid, event.offsetX, event.offsetY)
  const onKey = (event: KeyboardEvent) => {
    const from = pickedCell ?? grid.cells[0]
    if (from === undefined || !event.key.startsWith('Arrow')) return
    event.preventDefault()
    actions.pick(neighbour(grid, from, event.key).gpu.id)
  }
  const said = hoveredCell ?? (hasFocus ? pickedCell : undefined)
  return (
    <section class="card map" aria-labelledby="map-title">
      <div class="head">
        <h2 id="map-title">Hosts and GPUs</h2>
        <FocusPicker focus={focus} onFocus={(next) => actions.setFocus(next)} />
      </div>
      <div class="map-box" ref={box}>
        <canvas
          ref={canvas}
          role="application"
          tabIndex={0}
          data-testid="map"
          aria-label={`Heat map of ${focuses[focus].title.toLowerCase()}, ${grid.labels.length} hosts and ${grid.cells.length} GPUs. Arrow keys pick a GPU; the table below has the same values.`}
          onMouseMove={(event) => setHovered(at(event)?.gpu.id)}
          onMouseLeave={() => setHovered(undefined)}
          onClick={(event) => {
            const cell = at(event)
            if (cell !== undefined) actions.pick(cell.gpu.id)
          }}
          onKeyDown={onKey}
          onFocus={() => setHasFocus(true)}
          onBlur={() => setHasFocus(false)}
        />
        {said !== undefined && <Tip cell={said} grid={grid} width={width} focus={focus} nowMs={nowMs} />}
      </div>
      <p class="hidden" aria-live="polite">
        {hasFocus && pickedCell !== undefined ? sentenceOf(pickedCell.gpu, focus, nowMs) : ''}
      </p>
      <Legend focus={focus} domain={domain} theme={theme} />
    </section>
  )
}

export function FocusPicker({ focus, onFocus }: { focus: Focus; onFocus: (focus: Focus) => void }) {
  return (
    <div class="choices" role="group" aria-label="Quantity">
      {focusNames.map((name) => (
        <button key={name} type="button" aria-pressed={name === focus} onClick={() => onFocus(name)}>
          {focuses[name].title}
        </button>
      ))}
    </div>
  )
}

function Tip({
  cell,
  grid,
  width,
  focus,
  nowMs,
}: {
  cell: Cell
  grid: Grid
  width: number
  focus: Focus
  nowMs: number
}) {
  const { gpu, x, y, height } = cell
  const isRight = x > width / 2
  const isLow = y > grid.height / 2 && grid.height > 150
  const style = {
    [isRight ? 'right' : 'left']: `${isRight ? Math.max(0, width - x - cell.width) : x}px`,
    [isLow ? 'bottom' : 'top']: `${isLow ? grid.height - y + 4 : y + height + 4}px`,
  }
  return (
    <div class="tip" style={style} aria-hidden="true">
      <strong>{labelOf(gpu)}</strong>
      <span>{focuses[focus].text(focusValue(gpu, focus))}</span>
      <span class={isStale(gpu, nowMs) ? 'old' : 'quiet'}>
        {isStale(gpu, nowMs) ? 'stale, ' : ''}
        {format.ago(nowMs - gpu.lastSeenMs)}
      </span>
    </div>
  )
}

function sentenceOf(gpu: GpuState, focus: Focus, nowMs: number): string {
  const { title, text } = focuses[focus]
  const age = isStale(gpu, nowMs) ? `, stale, from ${format.ago(nowMs - gpu.lastSeenMs)}` : ''
  return `${labelOf(gpu)}: ${title} ${text(focusValue(gpu, focus))}${age}`
}

function Legend({
  focus,
  domain,
  theme,
}: {
  focus: Focus
  domain: readonly [number, number]
  theme: 'light' | 'dark'
}) {
  const { unit, short } = focuses[focus]
  return (
    <div class="legend">
      <span class="scale">
        <span>{short(domain[0])}</span>
        <span class="bar" style={{ background: gradient(theme) }} />
        <span>
          {short(domain[1])} {unit}
        </span>
      </span>
      <span>
        <span class="swatch hatched" /> not reported
      </span>
      <span>
        <span class="swatch faded" /> stale
      </span>
      <span>
        <span class="swatch hole" /> no GPU
      </span>
    </div>
  )
}

/** The width of an element in CSS pixels, as it changes. */
export function useWidth(element: { readonly current: HTMLElement | null }): number {
  const [width, setWidth] = useState(0)
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)))
    if (element.current !== null) observer.observe(element.current)
    return () => observer.disconnect()
  }, [])
  return width
}
