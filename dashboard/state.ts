/** What the page knows, in one place: components read it, the session and the user's clicks write it. */

import type { Pipeline, Site } from '#api/contract'
import type { Theme } from './model/colour.ts'
import { FleetModel } from './model/fleet.ts'
import type { Point } from './model/history.ts'
import type { Focus } from './model/metrics.ts'
import type { Recovery } from './model/outages.ts'
import type { Flow, Link, Upstream } from './model/pipeline.ts'
import type { Range } from './model/series.ts'

/** What the chart of one GPU shows. */
export interface ChartData {
  readonly gpu: string
  readonly range: Range
  readonly endMs: number
  readonly points: Readonly<Record<Focus, readonly Point[]>>
}

export type ThemeChoice = 'system' | Theme

export interface State {
  /** `key`: the API wants one, and the page has none that it takes. */
  readonly phase: 'starting' | 'key' | 'open'
  readonly keyProblem: string | undefined
  readonly link: Link
  readonly upstream: Upstream | undefined
  /** Whether the list of GPUs has come: before, that there is none says nothing. */
  readonly isListed: boolean
  /** Changes in place; `fleetVersion` tells. */
  readonly fleet: FleetModel
  readonly fleetVersion: number
  readonly pipeline: Pipeline | undefined
  readonly pipelineError: string | undefined
  /** The API refuses questions, because it has more to answer than it can. */
  readonly isOverloaded: boolean
  readonly flow: Flow
  readonly sites: readonly Site[] | undefined
  readonly fleetHistory: Readonly<Record<'power' | 'utilisation', readonly Point[]>>
  readonly picked: string | undefined
  readonly range: Range
  readonly chart: ChartData | undefined
  readonly chartError: string | undefined
  readonly focus: Focus
  readonly themeChoice: ThemeChoice
  readonly theme: Theme
  /** By the server's clock, each second. */
  readonly nowMs: number
  /** What came back not long ago. */
  readonly recovered: readonly (Recovery & { readonly untilMs: number })[]
}

export function firstState(nowMs: number): State {
  return {
    phase: 'starting',
    keyProblem: undefined,
    link: { state: 'connecting' },
    upstream: undefined,
    isListed: false,
    fleet: new FleetModel(),
    fleetVersion: 0,
    pipeline: undefined,
    pipelineError: undefined,
    isOverloaded: false,
    flow: { produced: undefined, settled: undefined },
    sites: undefined,
    fleetHistory: { power: [], utilisation: [] },
    picked: undefined,
    range: '15 min',
    chart: undefined,
    chartError: undefined,
    focus: 'utilisation',
    themeChoice: 'system',
    theme: 'dark',
    nowMs,
    recovered: [],
  }
}

export class Store {
  #state: State
  readonly #listeners = new Set<() => void>()

  constructor(state: State) {
    this.#state = state
  }

  get state(): State {
    return this.#state
  }

  set(change: Partial<State>): void {
    this.#state = { ...this.#state, ...change }
    for (const listener of this.#listeners) listener()
  }

  /** @returns ends it */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}
