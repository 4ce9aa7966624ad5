/** The page as a whole: which parts stand where, and when it is drawn. */

import { useEffect, useReducer } from 'preact/hooks'
import type { Actions } from './actions.ts'
import { totalsOf } from './model/totals.ts'
import { troublesOf } from './model/pipeline.ts'
import { Banners } from './parts/banners.tsx'
import { Empty } from './parts/empty.tsx'
import { GpuPanel } from './parts/gpu-panel.tsx'
import { GpuTable } from './parts/gpu-table.tsx'
import { Header } from './parts/header.tsx'
import { HeatMap } from './parts/heat-map.tsx'
import { KeyForm } from './parts/key-form.tsx'
import { PipelinePanel } from './parts/pipeline-panel.tsx'
import { Sites } from './parts/sites.tsx'
import { TotalsPanel } from './parts/totals-panel.tsx'
import type { State, Store } from './state.ts'

/** What every part is given. */
export interface PartProps {
  readonly state: State
  readonly actions: Actions
}

export function App({ store, actions }: { store: Store; actions: Actions }) {
  const state = useStore(store)
  if (state.phase === 'key') {
    return <KeyForm problem={state.keyProblem} onKey={(key) => actions.submitKey(key)} />
  }
  const gpus = state.fleet.all()
  const totals = totalsOf(gpus, state.nowMs)
  const troubles = troublesOf(state)
  const isEmpty = state.isListed && state.phase === 'open' && gpus.length === 0
  const busiest = totals.hottest?.gpu.id ?? gpus[0]?.id
  if (state.picked === undefined && busiest !== undefined) queueMicrotask(() => actions.pickFirst(busiest))
  return (
    <>
      <a class="skip" href="#gpus">
        To the table of GPUs
      </a>
      <Header state={state} actions={actions} totals={totals} />
      <main>
        <Banners state={state} troubles={troubles} totals={totals} />
        {state.phase === 'starting' && <p class="starting">Asking the API …</p>}
        {isEmpty && <Empty state={state} />}
        {gpus.length > 0 && (
          <>
            <TotalsPanel state={state} totals={totals} />
            <div class="columns">
              <HeatMap state={state} actions={actions} gpus={gpus} />
              <GpuPanel state={state} actions={actions} />
            </div>
            <GpuTable state={state} actions={actions} gpus={gpus} />
          </>
        )}
        {state.phase === 'open' && (
          <div class="columns even">
            <PipelinePanel state={state} />
            <Sites state={state} />
          </div>
        )}
      </main>
    </>
  )
}

/** Draws once a frame at most, however often the state changes; not at all while nobody looks. */
function useStore(store: Store): State {
  const [, redraw] = useReducer((count: number) => count + 1, 0)
  useEffect(() => {
    let frame = 0
    const end = store.subscribe(() => {
      frame ||= requestAnimationFrame(() => {
        frame = 0
        redraw(undefined)
      })
    })
    return () => {
      end()
      cancelAnimationFrame(frame)
    }
  }, [store])
  return store.state
}
