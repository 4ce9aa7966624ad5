/** Everything that is asked with one key, from the moment that it is given until the API refuses it or the page ends. */

import type { Api } from '#api/client'
import type { Pipeline } from '#api/contract'
import type { Sleep } from '#wire/retry'
import { retryAfterMs } from '#wire/transport'
import { metricNames, quantities, type Focus } from './model/metrics.ts'
import { Outages } from './model/outages.ts'
import { flowBetween, troublesOf } from './model/pipeline.ts'
import { pointsOf, ranges, windowS } from './model/series.ts'
import { isStale } from './model/fleet.ts'
import { type Fetch, isAnswer, isForbidden, isOverloaded, isPassing, isWrongKey, openApi, reasonOf } from './net/api.ts'
import { Poll } from './net/poll.ts'
import { follow } from './net/stream.ts'
import type { Store } from './state.ts'

export interface World {
  readonly fetch: Fetch
  /** Where the page came from, and the API is. */
  readonly origin: string
  readonly sleep: Sleep
  readonly random: () => number
  readonly wallMs: () => number
  readonly isHidden: () => boolean
}

/** The list is asked for anew to learn of GPUs that went, and of what the stream may have passed over. */
const listMs = 60_000
const emptyMs = 3_000
/** Between tries of the first question. */
const firstMs = 1_500
const pipelineMs = 2_000
/** What flows is the mean over so many answers. */
const flowAnswers = 8
const sitesMs = 5_000
const fleetHistoryMs = 15_000
const chartMs = 15_000

/** Large fleets are gathered for longer: a page redraws each event. */
const largeFleet = 500

/** How long it is said that something is back. */
const recoveredMs = 60_000

/** Histories of table rows that are asked for at the same time. */
const historiesAtOnce = 2
const historySpanS = 600
/** Until a history that failed is asked for again: doubled with each failure in a row, since a store that is away may be so for long. */
const historyRetryMs = 2_000
const historyRetryMsMax = 30_000

export class Session {
  readonly #store: Store
  readonly #world: World
  readonly #api: Api
  readonly #end = new AbortController()
  readonly #list: Poll
  readonly #pipeline: Poll
  readonly #chart: Poll
  /** Server's clock minus ours. */
  #offsetMs = 0
  /** `gpu focus` whose history was asked for. */
  readonly #histories = new Set<string>()
  readonly #answers: Pipeline[] = []
  readonly #outages = new Outages()
  #wanted: { gpu: string; focus: Focus }[] = []
  #asking = 0
  /** Histories that failed in a row. */
  #failures = 0
  /** Questions that the API had no time for when they were last asked. */
  readonly #refusals = new Set<string>()

  constructor(store: Store, world: World, key: string | undefined) {
    this.#store = store
    this.#world = world
    this.#api = openApi(world.fetch, world.origin, key)
    // While there is nothing yet, whoever waits for the first value does not want to wait a minute.
    this.#list = this.#poll(
      'list',
      () => (store.state.isListed && store.state.fleet.size > 0 ? listMs : emptyMs),
      (signal) => this.#askList(signal),
    )
    this.#pipeline = this.#poll('pipeline', pipelineMs, (signal) => this.#askPipeline(signal))
    this.#chart = this.#poll('chart', chartMs, (signal) => this.#askChart(signal))
  }

  /** Resolves when it is over. */
  async run(): Promise<void> {
    await this.#first()
    if (this.#end.signal.aborted) return
    const polls = [
      this.#list,
      this.#pipeline,
      this.#chart,
      this.#poll('sites', sitesMs, (signal) => this.#askSites(signal)),
      this.#poll('history', fleetHistoryMs, (signal) => this.#askFleetHistory(signal)),
    ]
    await Promise.all([...polls.map((poll) => poll.run()), this.#follow()])
  }

  end(): void {
    this.#end.abort()
  }

  /** The clock of the server, as far as its answers told it. */
  nowMs(): number {
    return this.#world.wallMs() + this.#offsetMs
  }

  /** The picked GPU or the range changed. */
  chartChanged(): void {
    this.#chart.kick()
  }

  /** Fills the sparklines of the rows on the page from the store, once each; newer wishes go first. */
  wantHistories(gpus: readonly string[], focus: Focus): void {
    const fresh = gpus.filter((gpu) => !this.#histories.has(`${gpu} ${focus}`)).map((gpu) => ({ gpu, focus }))
    this.#wanted = fresh
    while (this.#asking < historiesAtOnce && this.#wanted.length > 0) void this.#askHistories()
  }

  /** The key is tried by one question: with a wrong one, six would be six failures. */
  async #first(): Promise<void> {
    const { signal } = this.#end
    while (!signal.aborted) {
      try {
        await this.#askList(signal)
        this.#hadTime('list', true)
        return
      } catch (error) {
        // A key that may not even list the GPUs is of no use here; later, one that may not see everything is.
        if (isForbidden(error)) this.#askForKey(error)
        this.#refused(error)
        if (signal.aborted) return
        if (isOverloaded(error)) this.#hadTime('list', false)
        else if (isAnswer(error)) {
          // The key is good, and what the list is read from is away: the pipeline says so, and the stream goes on without it.
          this.#store.set({ phase: 'open' })
          return
        } else this.#tell({ pipelineError: reasonOf(error) })
        await this.#world.sleep(Math.max(firstMs, leaveMs(error)), signal).catch(() => {})
      }
    }
  }

  #poll(name: string, everyMs: number | (() => number), task: (signal: AbortSignal) => Promise<void>): Poll {
    const { sleep, isHidden } = this.#world
    let pauseMs = 0
    const guarded = async (signal: AbortSignal) => {
      pauseMs = 0
      try {
        await task(signal)
        this.#hadTime(name, true)
      } catch (error) {
        pauseMs = leaveMs(error)
        this.#hadTime(name, !isOverloaded(error))
        this.#refused(error)
      }
    }
    const waitMs = () => Math.max(typeof everyMs === 'number' ? everyMs : everyMs(), pauseMs)
    return new Poll(guarded, { everyMs: waitMs, signal: this.#end.signal, sleep, isHidden })
  }

  /** Whether the API had time for a question, or was asked too much. */
  #hadTime(name: string, had: boolean): void {
    if (had) this.#refusals.delete(name)
    else this.#refusals.add(name)
    const isNow = this.#refusals.size > 0
    if (isNow !== this.#store.state.isOverloaded && !this.#end.signal.aborted) this.#tell({ isOverloaded: isNow })
  }

  /** A wrong key ends the session and brings the form back; anything else passes. */
  #refused(error: unknown): void {
    if (isWrongKey(error) && !this.#end.signal.aborted) this.#askForKey(error)
  }

  #askForKey(error: unknown): void {
    this.end()
    this.#store.set({ phase: 'key', keyProblem: reasonOf(error) })
  }

  async #askList(signal: AbortSignal): Promise<void> {
    const list = await this.#api.get('/api/v1/gpus', { signal })
    this.#heard(list.as_of)
    const { fleet } = this.#store.state
    fleet.replace(list)
    this.#store.set({ phase: 'open', isListed: true, fleetVersion: fleet.version })
  }

  async #askPipeline(signal: AbortSignal): Promise<void> {
    try {
      const pipeline = await this.#api.get('/api/v1/pipeline', { signal })
      this.#heard(pipeline.as_of)
      this.#tell({ pipeline, pipelineError: undefined, flow: this.#flowTo(pipeline) })
    } catch (error) {
      if (!signal.aborted) this.#tell({ pipelineError: reasonOf(error) })
      throw error
    }
  }

  /** Over several answers: batches come in bursts, and two answers would see all of one or nothing. */
  #flowTo(now: Pipeline) {
    this.#answers.push(now)
    if (this.#answers.length > flowAnswers) this.#answers.shift()
    return flowBetween(this.#answers.length < 3 ? undefined : this.#answers[0], now)
  }

  async #askSites(signal: AbortSignal): Promise<void> {
    const { sites } = await this.#api.get('/api/v1/sites', { signal })
    this.#store.set({ sites })
  }

  async #askFleetHistory(signal: AbortSignal): Promise<void> {
    const ask = async (metric: string, fn: 'sum' | 'mean') => {
      const { values } = await this.#api.get('/api/v1/fleet/history', { query: { metric, fn }, signal })
      return values.map(({ time, value }) => ({ timeMs: Date.parse(time), value }))
    }
    const [power, utilisation] = await Promise.all([
      ask(metricNames.power, 'sum'),
      ask(metricNames.utilisation, 'mean'),
    ])
    this.#store.set({ fleetHistory: { power, utilisation } })
  }

  async #askChart(signal: AbortSignal): Promise<void> {
    const { picked, range, fleet } = this.#store.state
    const gpu = picked === undefined ? undefined : fleet.gpu(picked)
    if (picked === undefined || gpu === undefined) return
    const nowMs = this.nowMs()
    // What is stale is shown where it was: an empty chart up to now would hide it.
    const endMs = isStale(gpu, nowMs) ? gpu.lastSeenMs + 1_000 : nowMs
    const query = {
      metric: quantities.map((quantity) => metricNames[quantity]),
      start: new Date(endMs - ranges[range]).toISOString(),
      end: new Date(endMs + 1_000).toISOString(),
      window: `${windowS(range)}s`,
    }
    try {
      const { series } = await this.#api.get('/api/v1/gpus/{id}/telemetry', { params: { id: picked }, query, signal })
      const { state } = this.#store
      if (state.picked !== picked || state.range !== range) return
      this.#store.set({ chart: { gpu: picked, range, endMs, points: pointsOf(series) }, chartError: undefined })
    } catch (error) {
      if (!signal.aborted) this.#store.set({ chartError: reasonOf(error) })
      throw error
    }
  }

  async #askHistories(): Promise<void> {
    this.#asking++
    for (let next = this.#wanted.shift(); next !== undefined; next = this.#wanted.shift()) {
      const { gpu, focus } = next
      if (this.#end.signal.aborted || this.#histories.has(`${gpu} ${focus}`)) continue
      this.#histories.add(`${gpu} ${focus}`)
      const names = focus === 'memory' ? [metricNames.used, metricNames.free] : [metricNames[focus]]
      const state = this.#store.state.fleet.gpu(gpu)
      if (state === undefined) continue
      const start = new Date(state.lastSeenMs - historySpanS * 1000).toISOString()
      try {
        const query = { metric: names, start, window: '5s', limit: 200 }
        const ask = { params: { id: gpu }, query, signal: this.#end.signal }
        const { series } = await this.#api.get('/api/v1/gpus/{id}/telemetry', ask)
        this.#failures = 0
        state.history[focus]?.prepend(pointsOf(series)[focus])
        this.#store.set({})
      } catch (error) {
        this.#refused(error)
        if (!isPassing(error)) continue
        // Else its row would stay without one; what is wished meanwhile goes first.
        this.#histories.delete(`${gpu} ${focus}`)
        await this.#world.sleep(this.#historyPauseMs(error), this.#end.signal).catch(() => {})
        this.#wanted.push(next)
      }
    }
    this.#asking--
  }

  /** An API that is asked too much says itself when; one whose store is away knows no more than we do. */
  #historyPauseMs(error: unknown): number {
    const backoffMs = isOverloaded(error) ? 0 : Math.min(historyRetryMsMax, historyRetryMs * 2 ** this.#failures++)
    return Math.max(leaveMs(error), backoffMs)
  }

  async #follow(): Promise<void> {
    const { signal } = this.#end
    const { fleet } = this.#store.state
    let wasBroken = false
    const open = (lastId: string) => {
      const every = fleet.size > largeFleet ? '2s' : '1s'
      const metric = quantities.map((quantity) => metricNames[quantity])
      return this.#api.stream({ kind: 'gpu', metric, every }, lastId, signal)
    }
    const handlers: Parameters<typeof follow>[0] = {
      onRecords: (records) => {
        fleet.take(records)
        this.#store.set({ fleetVersion: fleet.version })
      },
      onGap: () => this.#list.kick(),
      onState: (upstream) => {
        this.#tell({ upstream })
        if (!upstream.live) this.#pipeline.kick()
      },
      onLink: (link) => {
        this.#tell({ link })
        if (link.state === 'live' && wasBroken) for (const poll of [this.#list, this.#pipeline]) poll.kick()
        wasBroken = link.state !== 'live'
      },
    }
    const { sleep, random, wallMs } = this.#world
    await follow(handlers, { open, signal, sleep, random, wallMs: () => wallMs() + this.#offsetMs }).catch(
      (error: unknown) => this.#refused(error),
    )
  }

  /** Sets what troubles are made of, and tells for a while what is back. */
  #tell(change: Parameters<Store['set']>[0]): void {
    const nowMs = this.nowMs()
    const { recovered } = this.#store.state
    this.#store.set(change)
    const troubles = troublesOf({ ...this.#store.state, nowMs })
    const back = this.#outages.update(troubles, nowMs).map((each) => ({ ...each, untilMs: nowMs + recoveredMs }))
    const wrong = new Set(troubles.map(({ id }) => id))
    const kept = recovered.filter(({ id, untilMs }) => untilMs > nowMs && !wrong.has(id))
    if (back.length > 0 || kept.length < recovered.length) this.#store.set({ recovered: [...kept, ...back] })
  }

  #heard(asOf: Pipeline['as_of']): void {
    this.#offsetMs = Date.parse(asOf) - this.#world.wallMs()
  }
}

/** How long the API asks to be left in peace. */
function leaveMs(error: unknown): number {
  return retryAfterMs(error) || 0
}
