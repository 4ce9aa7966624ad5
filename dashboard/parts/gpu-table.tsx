/** The GPUs as a table: the same values as the map, for eyes that want numbers, and for those that cannot see the map. */

import { useEffect, useRef, useState } from 'preact/hooks'
import type { PartProps } from '../app.tsx'
import { focusValue, type GpuState, isStale, labelOf, valueOf } from '../model/fleet.ts'
import * as format from '../model/format.ts'
import { domainOf, type Focus, focuses, memoryText } from '../model/metrics.ts'
import {
  type Column,
  firstView,
  pageOf,
  rowsOf,
  rowsOfPage,
  type Show,
  shows,
  sortedBy,
  type View,
} from '../model/rows.ts'
import { Bar } from './bar.tsx'
import { SparklineView } from './sparkline.tsx'

/** Rows that jump with every value cannot be read: the order is made anew so often, or when the user asks. */
const orderMs = 5_000

const sparklineMs = 600_000

const columns: readonly { readonly by: Column; readonly title: string; readonly class: string }[] = [
  { by: 'gpu', title: 'GPU', class: 'name' },
  { by: 'model', title: 'Model', class: 'wide' },
  { by: 'namespace', title: 'Used by', class: 'wide' },
  { by: 'utilisation', title: 'Util.', class: 'number' },
  { by: 'power', title: 'Power', class: 'number' },
  { by: 'memory', title: 'Memory', class: 'number' },
  { by: 'temperature', title: 'Temp.', class: 'number' },
  { by: 'age', title: 'Age', class: 'number middle' },
]

export function GpuTable({ state, actions, gpus }: PartProps & { gpus: readonly GpuState[] }) {
  const { focus, picked, nowMs } = state
  const [view, setView] = useState<View>(firstView)
  const ordered = useOrder(gpus, view, state.fleet.members, nowMs)
  const { rows, page, pages } = pageOf(ordered, view.page)
  const ids = rows.map(({ id }) => id).join(' ')
  useEffect(
    () =>
      actions.wantHistories(
        rows.map(({ id }) => id),
        focus,
      ),
    [ids, focus],
  )
  const domain = domainOf(
    focus,
    rows.map((gpu) => focusValue(gpu, focus)),
  )
  return (
    <section class="card" id="gpus" aria-labelledby="gpus-title">
      <div class="head">
        <h2 id="gpus-title">
          GPUs <span class="quiet">{foundText(ordered.length, gpus.length)}</span>
        </h2>
        <div class="filters">
          <input
            type="search"
            placeholder="host, model, pod, uuid"
            aria-label="Filter GPUs"
            value={view.text}
            onInput={({ currentTarget }) => setView({ ...view, text: currentTarget.value, page: 0 })}
          />
          <select
            aria-label="Which GPUs"
            value={view.show}
            onChange={({ currentTarget }) => setView({ ...view, show: currentTarget.value as Show, page: 0 })}
          >
            {Object.entries(shows).map(([show, text]) => (
              <option key={show} value={show}>
                {text}
              </option>
            ))}
          </select>
        </div>
      </div>
      <div class="table-box">
        <table class="gpus">
          <thead>
            <tr>
              {columns.map(({ by, title, class: name }) => (
                <th key={by} scope="col" class={name} aria-sort={sortText(view, by)}>
                  <button type="button" onClick={() => setView(sortedBy(view, by))}>
                    {title}
                    <span aria-hidden="true">{view.by === by ? (view.descending ? ' ▾' : ' ▴') : ''}</span>
                  </button>
                </th>
              ))}
              <th scope="col" class="line middle">
                {focuses[focus].title}, 10 min
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((gpu) => (
              <Row
                key={gpu.id}
                gpu={gpu}
                focus={focus}
                domain={domain}
                nowMs={nowMs}
                isPicked={gpu.id === picked}
                onPick={() => actions.pick(gpu.id)}
              />
            ))}
          </tbody>
        </table>
      </div>
      {rows.length === 0 && <p class="quiet">No GPU fits.</p>}
      {pages > 1 && (
        <nav class="pages" aria-label="Pages of GPUs">
          <button type="button" disabled={page === 0} onClick={() => setView({ ...view, page: page - 1 })}>
            Previous
          </button>
          <span>
            {page * rowsOfPage + 1} to {page * rowsOfPage + rows.length} of {format.count(ordered.length)}
          </span>
          <button type="button" disabled={page === pages - 1} onClick={() => setView({ ...view, page: page + 1 })}>
            Next
          </button>
        </nav>
      )}
    </section>
  )
}

interface RowProps {
  readonly gpu: GpuState
  readonly focus: Focus
  readonly domain: readonly [number, number]
  readonly nowMs: number
  readonly isPicked: boolean
  onPick(): void
}

function Row({ gpu, focus, domain, nowMs, isPicked, onPick }: RowProps) {
  const stale = isStale(gpu, nowMs)
  const points = gpu.history[focus]?.points() ?? []
  const usedBy = gpu.pod === '' ? gpu.namespace : `${gpu.namespace}/${gpu.pod}`
  return (
    <tr class={`${isPicked ? 'picked' : ''} ${stale ? 'stale' : ''}`} onClick={onPick}>
      <th scope="row" class="name">
        <button type="button" aria-pressed={isPicked} title={gpu.uuid}>
          {labelOf(gpu)}
        </button>
        {stale && <span class="tag">stale</span>}
      </th>
      <td class="wide">{gpu.model === '' ? <Missing /> : gpu.model}</td>
      <td class="wide">{usedBy === '' ? <span class="quiet">–</span> : usedBy}</td>
      <Amount value={focusValue(gpu, 'utilisation')} most={100} text={format.percent} />
      <Amount value={valueOf(gpu, 'power')} most={focuses.power.domain[1]} text={(watts) => `${watts?.toFixed(0)} W`} />
      <Amount
        value={focusValue(gpu, 'memory')}
        most={100}
        text={format.percent}
        title={memoryText(valueOf(gpu, 'used'), valueOf(gpu, 'free'))}
      />
      <Amount value={valueOf(gpu, 'temperature')} text={format.celsius} />
      <td class={`number middle ${stale ? 'old' : ''}`}>{format.duration(nowMs - gpu.lastSeenMs)}</td>
      <td class="line middle">
        <SparklineView
          points={points}
          domain={domain}
          spanMs={sparklineMs}
          name={`${focuses[focus].title} of ${labelOf(gpu)}, 10 minutes`}
        />
      </td>
    </tr>
  )
}

interface AmountProps {
  readonly value: number | null
  /** What a full bar means; without it there is no bar. */
  readonly most?: number
  readonly title?: string
  text(value: number | null): string
}

function Amount({ value, most, title, text }: AmountProps) {
  if (value === null) {
    return (
      <td class="number">
        <Missing />
      </td>
    )
  }
  return (
    <td class="number" title={title}>
      {text(value)}
      {most !== undefined && <Bar share={value / most} />}
    </td>
  )
}

function Missing() {
  return (
    <span class="missing" title={format.notReported}>
      <span class="short" aria-hidden="true">
        n/r
      </span>
      <span class="long">{format.notReported}</span>
    </span>
  )
}

/** The rows in the order of the view, which stays as it is for a while although the values move. */
function useOrder(gpus: readonly GpuState[], view: View, members: number, nowMs: number): readonly GpuState[] {
  const kept = useRef<{ key: string; rows: readonly GpuState[] }>({ key: '', rows: [] })
  const { text, show, by, descending } = view
  const key = [text, show, by, descending, members, Math.floor(nowMs / orderMs)].join('\n')
  if (kept.current.key !== key) kept.current = { key, rows: rowsOf(gpus, view, nowMs) }
  return kept.current.rows
}

function sortText(view: View, by: Column): 'none' | 'ascending' | 'descending' {
  return view.by !== by ? 'none' : view.descending ? 'descending' : 'ascending'
}

function foundText(found: number, all: number): string {
  return found === all ? format.count(all) : `${format.count(found)} of ${format.count(all)}`
}
