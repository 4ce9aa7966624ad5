/** The heat map: where each host and GPU goes, and which one is under the pointer or next to another. */

import type { GpuState } from './fleet.ts'

export interface Cell {
  readonly gpu: GpuState
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface Label {
  readonly hostname: string
  readonly text: string
  readonly x: number
  readonly y: number
}

export interface Grid {
  readonly cells: readonly Cell[]
  readonly labels: readonly Label[]
  /** Places where other hosts have a GPU and this one has none. */
  readonly holes: readonly Omit<Cell, 'gpu'>[]
  readonly height: number
  readonly labelWidth: number
}

/** All in CSS pixels. */
const sizes = {
  /** Of a character of a label. */
  character: 6.8,
  gap: 2,
  /** Between the blocks of hosts that stand side by side. */
  blockGap: 18,
  cellWidthMin: 11,
  cellHeightMin: 12,
  /** From here on a cell has room for its number. */
  cellHeightGood: 22,
  cellHeightMax: 56,
  heightGoal: 400,
}

/** A cell at least this large has room for a number. */
export function hasRoomForText({ width, height }: Pick<Cell, 'width' | 'height'>): boolean {
  return width >= 25 && height >= 16
}

export function gridOf(gpus: readonly GpuState[], width: number): Grid {
  const hosts = [...Map.groupBy(gpus, ({ hostname }) => hostname)].sort(([a], [b]) => natural.compare(a, b))
  const named = hosts.filter(([hostname]) => hostname !== '')
  const names = [
    // An empty name sorts before all others.
    ...(named.length < hosts.length ? ['no host'] : []),
    ...shortNames(named.map(([hostname]) => hostname)),
  ]
  const slots = Math.max(1, ...hosts.map(([, own]) => slotsOf(own)))
  const labelWidth = Math.ceil(Math.max(1, ...names.map(({ length }) => length)) * sizes.character) + 8
  const { columns, rows, cellHeight } = shapeOf(
    hosts.length,
    labelWidth + slots * (sizes.cellWidthMin + sizes.gap),
    width,
  )
  const blockWidth = (width - (columns - 1) * sizes.blockGap) / columns
  const pitch = (blockWidth - labelWidth) / slots

  const cells: Cell[] = []
  const labels: Label[] = []
  const holes: Grid['holes'][number][] = []
  for (const [at, [hostname, own]] of hosts.entries()) {
    const left = Math.floor(at / rows) * (blockWidth + sizes.blockGap)
    const y = (at % rows) * (cellHeight + sizes.gap)
    labels.push({ hostname, text: names[at] as string, x: left, y: y + cellHeight / 2 })
    const bySlot = Map.groupBy(own, (gpu) => slotOf(gpu, own))
    for (let slot = 0; slot < slots; slot++) {
      const x = left + labelWidth + slot * pitch
      const whole = { x, y, width: pitch - sizes.gap, height: cellHeight }
      const inSlot = bySlot.get(slot) ?? []
      if (inSlot.length === 0) holes.push(whole)
      // The slices of a GPU share its place.
      const part = whole.width / Math.max(1, inSlot.length)
      for (const [index, gpu] of inSlot.entries()) cells.push({ ...whole, gpu, x: x + index * part, width: part })
    }
  }
  return { cells, labels, holes, height: rows * (cellHeight + sizes.gap), labelWidth }
}

export function cellAt({ cells }: Grid, x: number, y: number): Cell | undefined {
  return cells.find((cell) => x >= cell.x && x < cell.x + cell.width && y >= cell.y && y < cell.y + cell.height)
}

/** The cell that an arrow key leads to; the same one where there is none in that direction. */
export function neighbour({ cells }: Grid, from: Cell, key: string): Cell {
  const [dx, dy] = ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] } as const)[key] ?? [
    0, 0,
  ]
  let [best, bestDistance] = [from, Infinity]
  for (const cell of cells) {
    const [x, y] = [centre(cell).x - centre(from).x, centre(cell).y - centre(from).y]
    const along = x * dx + y * dy
    const across = Math.abs(x * dy) + Math.abs(y * dx)
    const distance = along + across * 3
    if (along > 0.5 && across < along && distance < bestDistance) [best, bestDistance] = [cell, distance]
  }
  return best
}

/** What tells the hosts apart: without the words that all of their names begin with. */
export function shortNames(names: readonly string[]): string[] {
  const [first] = names
  if (first === undefined || names.length === 1) return [...names]
  let common = 0
  for (let at = 0; at < first.length && names.every((name) => name[at] === first[at]); at++) {
    // Cut between words only: `gpu-a01` and `gpu-a02` become `a01` and `a02`, not `1` and `2`.
    if (/[-_.]/.test(first[at] as string)) common = at + 1
  }
  const short = names.map((name) => name.slice(common))
  return short.every((name) => name !== '') ? short : [...names]
}

const natural = new Intl.Collator('en', { numeric: true })

/** How many columns of hosts: the fewest whose rows are high enough to read, else as many as fit. */
function shapeOf(hosts: number, blockWidthMin: number, width: number) {
  const columnsMax = Math.max(1, Math.floor((width + sizes.blockGap) / (blockWidthMin + sizes.blockGap)))
  for (let columns = 1; ; columns++) {
    const rows = Math.max(1, Math.ceil(hosts / columns))
    const cellHeight = Math.floor(sizes.heightGoal / rows) - sizes.gap
    if (cellHeight >= sizes.cellHeightGood || columns >= columnsMax) {
      return { columns, rows, cellHeight: Math.min(sizes.cellHeightMax, Math.max(sizes.cellHeightMin, cellHeight)) }
    }
  }
}

/** Indexes of up to this are places; beyond, or where they are no numbers, GPUs stand in the order of the list. */
const slotsMax = 32

function slotsOf(own: readonly GpuState[]): number {
  return Math.max(...own.map((gpu) => slotOf(gpu, own))) + 1
}

function slotOf(gpu: GpuState, own: readonly GpuState[]): number {
  if (own.every(({ index }) => /^\d{1,2}$/.test(index) && Number(index) < slotsMax)) return Number(gpu.index)
  return [...new Set(own.map(({ index }) => index))].indexOf(gpu.index)
}

function centre({ x, y, width, height }: Cell) {
  return { x: x + width / 2, y: y + height / 2 }
}
