/** Draws the heat map on its canvas. */

import { shadeAt, type Theme } from '../model/colour.ts'
import { focusValue, isStale } from '../model/fleet.ts'
import { type Cell, type Grid, hasRoomForText } from '../model/grid.ts'
import { type Focus, focuses } from '../model/metrics.ts'

export interface Drawing {
  readonly grid: Grid
  /** CSS pixels. */
  readonly width: number
  readonly focus: Focus
  readonly theme: Theme
  readonly nowMs: number
  readonly domain: readonly [number, number]
  readonly picked: Cell | undefined
  readonly hovered: Cell | undefined
}

const inks = {
  dark: { text: '#9fb0bd', hatch: '#4d5e6b', ground: '#18222a', hole: '#41525f', mark: '#ffffff', stale: '#fbbf5c' },
  light: { text: '#52626e', hatch: '#a7b4be', ground: '#f3f6f8', hole: '#b3c0ca', mark: '#0b1720', stale: '#8a4b00' },
} as const

const font = '11px ui-sans-serif, system-ui, sans-serif'

export function drawGrid(canvas: HTMLCanvasElement, drawing: Drawing): void {
  const { grid, width, theme } = drawing
  const ratio = devicePixelRatio
  const context = canvas.getContext('2d')
  if (context === null) return
  canvas.width = Math.round(width * ratio)
  canvas.height = Math.round(grid.height * ratio)
  canvas.style.width = `${width}px`
  canvas.style.height = `${grid.height}px`
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  context.font = font
  context.textBaseline = 'middle'
  const ink = inks[theme]

  context.fillStyle = ink.text
  for (const { text, x, y } of grid.labels) context.fillText(text, x, y)
  context.strokeStyle = ink.hole
  context.setLineDash([2, 2])
  for (const hole of grid.holes) context.strokeRect(hole.x + 0.5, hole.y + 0.5, hole.width - 1, hole.height - 1)
  context.setLineDash([])
  context.textAlign = 'center'
  const hatch = hatching(context, ink.ground, ink.hatch)
  for (const cell of grid.cells) drawCell(context, cell, drawing, hatch)
  context.textAlign = 'start'

  if (drawing.hovered !== undefined) outline(context, drawing.hovered, ink.mark, 1)
  if (drawing.picked !== undefined) outline(context, drawing.picked, ink.mark, 2.5)
}

function drawCell(
  context: CanvasRenderingContext2D,
  cell: Cell,
  drawing: Drawing,
  hatch: CanvasPattern | string,
): void {
  const { focus, theme, nowMs, domain } = drawing
  const { gpu, x, y, width, height } = cell
  const value = focusValue(gpu, focus)
  const stale = isStale(gpu, nowMs)
  const shade = value === null ? undefined : shadeAt(theme, (value - domain[0]) / (domain[1] - domain[0]))
  context.globalAlpha = stale ? 0.3 : 1
  context.fillStyle = shade?.css ?? hatch
  context.beginPath()
  context.roundRect(x, y, width, height, Math.min(3, width / 4))
  context.fill()
  context.globalAlpha = 1
  if (value !== null && shade !== undefined && hasRoomForText(cell)) {
    context.fillStyle = stale ? inks[theme].mark : shade.ink
    context.fillText(focuses[focus].short(value), x + width / 2, y + height / 2 + 0.5)
  }
  if (stale) {
    // A folded corner: faded colours alone would be one more colour.
    const side = Math.min(7, width / 2, height / 2)
    context.fillStyle = inks[theme].stale
    context.beginPath()
    context.moveTo(x + width - side, y)
    context.lineTo(x + width, y)
    context.lineTo(x + width, y + side)
    context.fill()
  }
}

function outline(context: CanvasRenderingContext2D, { x, y, width, height }: Cell, colour: string, line: number): void {
  context.strokeStyle = colour
  context.lineWidth = line
  context.beginPath()
  context.roundRect(x - 0.5, y - 0.5, width + 1, height + 1, 4)
  context.stroke()
  context.lineWidth = 1
}

function hatching(context: CanvasRenderingContext2D, ground: string, line: string): CanvasPattern | string {
  const tile = document.createElement('canvas')
  tile.width = tile.height = 6
  const own = tile.getContext('2d')
  if (own === null) return ground
  own.fillStyle = ground
  own.fillRect(0, 0, 6, 6)
  own.strokeStyle = line
  own.lineWidth = 1.2
  own.beginPath()
  for (const from of [-6, 0, 6]) {
    own.moveTo(from - 1, 7)
    own.lineTo(from + 7, -1)
  }
  own.stroke()
  return context.createPattern(tile, 'repeat') ?? ground
}
