/** The table of GPUs: which rows, in which order, on which page. */

import { focusValue, type GpuState, isStale, labelOf, valueOf } from './fleet.ts'

export type Column = 'gpu' | 'model' | 'namespace' | 'utilisation' | 'power' | 'memory' | 'temperature' | 'age'

export type Show = 'all' | 'busy' | 'idle' | 'full' | 'stale' | 'silent'

export const shows: Readonly<Record<Show, string>> = {
  all: 'All GPUs',
  busy: 'Busy',
  idle: 'Idle',
  full: 'Idle, but holding memory',
  stale: 'Stale',
  silent: 'With something not reported',
}

export interface View {
  readonly text: string
  readonly show: Show
  readonly by: Column
  readonly descending: boolean
  /** From 0. */
  readonly page: number
}

export const firstView: View = { text: '', show: 'all', by: 'gpu', descending: false, page: 0 }

export const rowsOfPage = 25

/** Memory that an idle GPU may hold without being a find, as the API's `idle_full_gpus`. */
const idleMemoryMib = 1_000

/** Those that fit the view, in its order. */
export function rowsOf(gpus: readonly GpuState[], view: View, nowMs: number): GpuState[] {
  const words = view.text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '')
  const found = gpus.filter((gpu) => fits(gpu, view.show, nowMs) && words.every((word) => textOf(gpu).includes(word)))
  return sorted(found, view)
}

export interface Page<Row> {
  readonly rows: readonly Row[]
  readonly page: number
  readonly pages: number
}

/** The page, or the last one where there are fewer. */
export function pageOf<Row>(rows: readonly Row[], page: number): Page<Row> {
  const pages = Math.max(1, Math.ceil(rows.length / rowsOfPage))
  const at = Math.min(Math.max(0, page), pages - 1)
  return { rows: rows.slice(at * rowsOfPage, (at + 1) * rowsOfPage), page: at, pages }
}

/** Numbers start with the largest, names with the first; the same column again turns the order round. */
export function sortedBy(view: View, by: Column): View {
  const isText = by === 'gpu' || by === 'model' || by === 'namespace' || by === 'age'
  return { ...view, by, descending: view.by === by ? !view.descending : !isText, page: 0 }
}

function fits(gpu: GpuState, show: Show, nowMs: number): boolean {
  const utilisation = valueOf(gpu, 'utilisation')
  switch (show) {
    case 'all':
      return true
    case 'busy':
      return utilisation !== null && utilisation > 0
    case 'idle':
      return utilisation === 0
    case 'full':
      return utilisation === 0 && (valueOf(gpu, 'used') ?? 0) > idleMemoryMib
    case 'stale':
      return isStale(gpu, nowMs)
    case 'silent':
      return (['utilisation', 'power', 'memory', 'temperature'] as const).some((each) => focusValue(gpu, each) === null)
  }
}

function textOf(gpu: GpuState): string {
  return `${labelOf(gpu)} ${gpu.uuid} ${gpu.model} ${gpu.namespace} ${gpu.pod}`.toLowerCase()
}

const natural = new Intl.Collator('en', { numeric: true })

function sorted(gpus: readonly GpuState[], { by, descending }: View): GpuState[] {
  const sign = descending ? -1 : 1
  // Names are made once a row: `labelOf` in a comparison would be made thousands of times.
  const rows = gpus.map((gpu) => ({ gpu, label: labelOf(gpu), text: keyText(gpu, by), number: keyNumber(gpu, by) }))
  rows.sort((a, b) => {
    const names = natural.compare(a.label, b.label)
    if (a.text !== undefined && b.text !== undefined) return sign * natural.compare(a.text, b.text) || names
    if (by === 'gpu') return sign * names
    // What is not reported stands last in either direction: it is neither small nor large.
    if (a.number === null || b.number === null) {
      return a.number === b.number ? names : a.number === null ? 1 : -1
    }
    return sign * (a.number - b.number) || names
  })
  return rows.map(({ gpu }) => gpu)
}

function keyText(gpu: GpuState, by: Column): string | undefined {
  return by === 'model' ? gpu.model : by === 'namespace' ? `${gpu.namespace} ${gpu.pod}` : undefined
}

function keyNumber(gpu: GpuState, by: Column): number | null {
  if (by === 'age') return -gpu.lastSeenMs
  return by === 'gpu' || by === 'model' || by === 'namespace' ? null : focusValue(gpu, by)
}
