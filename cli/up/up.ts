/** `penstock up`: starts the roles, watches the rows go through them, and says when all are settled. */

import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { version } from '#lib/version'
import type { Io } from '../command.ts'
import { Progress } from '../progress.ts'
import { accountOf, openAccount, readAccounts, writeAccounts, type Accounts } from './accounts.ts'
import { readFigures, type Addresses, type Figures, type Waiting } from './figures.ts'
import { Lock } from './lock.ts'
import { LogLines } from './log_lines.ts'
import { planOf, type Plan, type RolePlan } from './plan.ts'
import { ProgressText } from './progress_text.ts'
import type { UpSettings } from './settings.ts'
import { isDrained, isSettled, settledLine } from './settled.ts'
import { liveSource } from './live_source.ts'
import { GivenUp, Supervisor } from './supervisor.ts'
import { demoBanner, whereToLook } from './texts.ts'

/** How often the roles are asked how far they are. */
const pollMs = 200

/** Beyond the grace that a role gives its requests, for closing its files. */
const extraGraceMs = 5_000

/**
 * Runs until the signal aborts, or with `--once` until every row is settled.
 *
 * @param flags as given: those of the roles are handed on
 * @returns the exit status: 0 when everything went as asked
 * @throws SettingsError; Error for the operator when the data folder is taken
 */
export async function up(settings: UpSettings, io: Io, flags: Readonly<Record<string, string>>): Promise<number> {
  const plan = planOf(settings, io.env, flags, randomBytes(24).toString('base64url'))
  const roles = [
    ...plan.brokers,
    plan.proxy,
    plan.collector,
    plan.streamer,
    ...(plan.api === undefined ? [] : [plan.api]),
  ]
  const names = roles.map(({ name }) => name)
  const lines = new LogLines(io.stderr, [...names, 'up'])
  const progress = new Progress(io.stderr, (text) => lines.own('up', text, 'info'))
  const note = (text: string, level: 'info' | 'warn' | 'error' = 'info') => progress.print(lines.own('up', text, level))

  note(`penstock ${version}, data in ${plan.dataDir}`)
  if (plan.demo) progress.print(demoBanner)
  const lock = await Lock.take(plan.dataDir, (left) => note(`waiting for ${left.join(', ')} of a run that was killed`))
  const supervisor = new Supervisor(
    io.env,
    {
      onLine: (name, line) => progress.print(lines.format(name, line)),
      onNote: (name, text, level) => progress.print(lines.own(name, text, level)),
      onStarted: (name, pid) => lock.add(name, pid),
    },
    { graceMs: settings.stopGraceMs + extraGraceMs },
  )
  const signal = AbortSignal.any([io.signal, supervisor.gaveUp])
  try {
    return await new Run(plan, settings, io, supervisor, progress, note).until(signal)
  } catch (error) {
    if (!signal.aborted) throw error
    if (error instanceof GivenUp) note(error.message, 'error')
    else if (settings.once) note('stopped before every row was settled; the next run goes on here', 'warn')
    return error instanceof GivenUp ? error.status : settings.once ? 1 : 0
  } finally {
    progress.clear()
    note('stopping')
    await supervisor.stop()
    lock.release()
  }
}

/** One run, from the start of the roles on. */
class Run {
  readonly #plan: Plan
  readonly #settings: UpSettings
  readonly #io: Io
  readonly #supervisor: Supervisor
  readonly #progress: Progress
  readonly #note: (text: string, level?: 'info' | 'warn' | 'error') => void
  #settledLine = ''

  constructor(
    plan: Plan,
    settings: UpSettings,
    io: Io,
    supervisor: Supervisor,
    progress: Progress,
    note: (text: string, level?: 'info' | 'warn' | 'error') => void,
  ) {
    this.#plan = plan
    this.#settings = settings
    this.#io = io
    this.#supervisor = supervisor
    this.#progress = progress
    this.#note = note
  }

  /**
   * @returns the exit status
   * @throws the signal's reason when it aborts
   */
  async until(signal: AbortSignal): Promise<number> {
    const { brokers, proxy, collector, streamer, api } = this.#plan
    const addresses = await Promise.all(brokers.map((broker) => this.#supervisor.start(broker, signal)))
    const brokerUrls = addresses.map(({ url }) => url).join(',')
    const { url: proxyUrl } = await this.#supervisor.start(withSettings(proxy, { BROKERS: brokerUrls }), signal)
    const toProxy = { MSG_QUEUE_ADDR: proxyUrl }
    const { url: collectorUrl } = await this.#supervisor.start(withSettings(collector, toProxy), signal)
    const accounts = await this.#openAccount({ proxy: proxyUrl, collector: collectorUrl, streamer: undefined }, signal)
    const { url: streamerUrl } = await this.#supervisor.start(withSettings(streamer, toProxy), signal)
    const roles = { proxy: proxyUrl, collector: collectorUrl, streamer: streamerUrl }
    if (api !== undefined) {
      const parts = { ...toProxy, COLLECTOR_URL: collectorUrl, STREAMER_URL: streamerUrl }
      const { url: apiUrl } = await this.#supervisor.start(withSettings(api, parts), signal)
      this.#progress.print(
        whereToLook({ ...roles, api: apiUrl }, this.#plan, this.#settings.serviceToken !== undefined),
      )
      const live = await liveSource(signal)
      if (live !== undefined) this.#note(live)
    }
    return this.#watch(roles, accounts, signal)
  }

  /** Before a streamer runs: whose rows the ledger counts from now on. */
  async #openAccount(addresses: Addresses, signal: AbortSignal): Promise<Accounts> {
    const { dataDir, sources, route } = this.#plan
    const accounts = readAccounts(dataDir)
    if (accounts.open === sources) return accounts
    for (let polls = 0; ; polls++) {
      const figures = await this.#read(addresses, signal)
      if (figures !== undefined && !('trouble' in figures) && isDrained(figures, route)) {
        const opened = openAccount(accounts, sources, figures.collector)
        writeAccounts(dataDir, opened)
        return opened
      }
      if (polls === 5) this.#note('storing what an earlier run left in the log')
    }
  }

  async #watch(addresses: Addresses, accounts: Accounts, signal: AbortSignal): Promise<number> {
    const { route, sources, demo } = this.#plan
    const text = new ProgressText(route)
    for (;;) {
      const figures = await this.#read(addresses, signal)
      if (figures?.streamer === undefined) continue
      if ('trouble' in figures) {
        this.#progress.update(text.waiting(figures))
        continue
      }
      const account = accountOf(accounts, sources, figures.collector)
      if (demo || !isSettled(figures, route)) {
        this.#settledLine = ''
        this.#progress.update(text.of(figures, account, performance.now()))
        continue
      }
      this.#progress.clear()
      this.#sayOnce(settledLine(figures.streamer, account))
      const failed = figures.streamer.sources.filter(({ error }) => error !== undefined)
      const nothingRead = failed.length > 0 && figures.streamer.read === 0
      if (nothingRead) this.#note('nothing could be read', 'error')
      if (this.#settings.once || nothingRead) return failed.length === 0 ? 0 : 1
    }
  }

  #sayOnce(line: string): void {
    if (line === this.#settledLine) return
    this.#settledLine = line
    this.#progress.print(`${line}\n`, this.#io.stdout)
  }

  /** What the roles say, after the pause between two looks. */
  async #read(addresses: Addresses, signal: AbortSignal): Promise<Figures | Waiting | undefined> {
    signal.throwIfAborted()
    await sleep(pollMs, undefined, { signal }).catch(() => signal.throwIfAborted())
    const figures = await readFigures(addresses, this.#settings.serviceToken?.current, signal)
    signal.throwIfAborted()
    return figures
  }
}

function withSettings(role: RolePlan, more: Readonly<Record<string, string>>): RolePlan {
  return { ...role, settings: { ...role.settings, ...more } }
}
