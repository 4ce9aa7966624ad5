/** The GPU that was picked: what it is, what it does now, and its lines over time. */

import { useMemo } from 'preact/hooks'
import type { PartProps } from '../app.tsx'
import { focusValue, type GpuState, isStale, labelOf, valueOf } from '../model/fleet.ts'
import * as format from '../model/format.ts'
import { domainOf, type Focus, focuses, focusNames, memoryText } from '../model/metrics.ts'
import { joined, lineOf, rangeNames, ranges, windowS } from '../model/series.ts'
import { Chart } from './chart.tsx'

export function GpuPanel({ state, actions }: PartProps) {
  const { fleet, picked, range, nowMs } = state
  const gpu = picked === undefined ? undefined : fleet.gpu(picked)
  return (
    <section class="card gpu" aria-labelledby="gpu-title" data-testid="gpu">
      <div class="head">
        <h2 id="gpu-title">{gpu === undefined ? 'No such GPU' : labelOf(gpu)}</h2>
        <div class="choices" role="group" aria-label="Time shown">
          {rangeNames.map((name) => (
            <button key={name} type="button" aria-pressed={name === range} onClick={() => actions.setRange(name)}>
              {name}
            </button>
          ))}
        </div>
      </div>
      {gpu === undefined ? (
        <p class="quiet">Pick one on the map, or in the table.</p>
      ) : (
        <>
          <Facts gpu={gpu} nowMs={nowMs} />
          <div class="charts">
            {focusNames.map((focus) => (
              <FocusChart key={focus} focus={focus} gpu={gpu} state={state} />
            ))}
          </div>
          {state.chartError !== undefined && <p class="problem">{state.chartError}</p>}
        </>
      )}
    </section>
  )
}

function Facts({ gpu, nowMs }: { gpu: GpuState; nowMs: number }) {
  const age = format.ago(nowMs - gpu.lastSeenMs)
  return (
    <p class="quiet facts-line">
      <span>{gpu.model === '' ? 'model not reported' : gpu.model}</span>
      {gpu.pod !== '' && (
        <span>
          {gpu.namespace}/{gpu.pod}
        </span>
      )}
      <span class={isStale(gpu, nowMs) ? 'old' : ''}>{isStale(gpu, nowMs) ? `stale: ${age}` : age}</span>
      <code title="uuid">{gpu.uuid}</code>
    </p>
  )
}

function FocusChart({ focus, gpu, state }: { focus: Focus; gpu: GpuState; state: PartProps['state'] }) {
  const { chart, range, theme, fleetVersion, nowMs } = state
  const { title, text } = focuses[focus]
  const own = chart?.gpu === gpu.id && chart.range === range ? chart : undefined
  const endMs = isStale(gpu, nowMs) ? gpu.lastSeenMs : Math.max(own?.endMs ?? 0, gpu.lastSeenMs)
  const line = useMemo(() => {
    const points = joined(own?.points[focus] ?? [], gpu.history[focus]?.points() ?? [], windowS(range) * 1000)
    return lineOf(
      points.filter(({ timeMs }) => timeMs >= endMs - ranges[range]),
      windowS(range) * 1000,
    )
  }, [own, fleetVersion, gpu.id, range])
  const value = focusValue(gpu, focus)
  const now = focus === 'memory' ? memoryText(valueOf(gpu, 'used'), valueOf(gpu, 'free')) : text(value)
  const isSilent = line[1].every((each) => each === null)
  return (
    <figure class="chart">
      <figcaption>
        {title} <strong class={value === null ? 'missing' : ''}>{now}</strong>
      </figcaption>
      {isSilent ? (
        <p class="quiet silent">{own === undefined ? 'loading …' : 'not reported in this time'}</p>
      ) : (
        <Chart
          line={line}
          domain={domainOf(focus, line[1])}
          range={[(endMs - ranges[range]) / 1000, endMs / 1000]}
          theme={theme}
          name={`${title} of ${labelOf(gpu)}, ${range}`}
          text={text}
        />
      )}
    </figure>
  )
}
