/** The children of `penstock up`: starts them, learns where they listen, says when one dies, stops them in order. */

import { setTimeout as sleep } from 'node:timers/promises'
import { readListening, startChild, type Listening } from './child.ts'
import { readiness } from './figures.ts'
import { describeExit, Keeper, type Exit, type KeeperOptions, type Timers } from './keeper.ts'
import { environmentOf, type RolePlan } from './plan.ts'

export interface SupervisorEvents {
  /** A line that a child printed. */
  onLine(name: string, line: string): void
  /** What happened to a child, for people. */
  onNote(name: string, text: string, level: 'info' | 'warn' | 'error'): void
  onStarted(name: string, pid: number | undefined): void
}

/** A child cannot be kept running. The reason stands in its own lines. */
export class GivenUp extends Error {
  /** What `up` ends with. */
  readonly status: number

  constructor(name: string, exit: Exit) {
    super(`${name} ${describeExit(exit)} and would do so again`)
    this.status = exit.code === 2 ? 2 : 1
  }
}

const realTimers: Timers = {
  nowMs: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}

/** How often a child that listens is asked whether it is ready. */
const readyEveryMs = 50

/** When it is said what a child waits for: at first, and then at last so often. */
const firstToldMs = 5_000
const toldEveryMs = 60_000

export class Supervisor {
  readonly #env: Readonly<Record<string, string | undefined>>
  readonly #events: SupervisorEvents
  readonly #options: Partial<KeeperOptions>
  /** In the order of their start. */
  readonly #keepers = new Map<string, Keeper>()
  readonly #gaveUp = new AbortController()

  constructor(
    env: Readonly<Record<string, string | undefined>>,
    events: SupervisorEvents,
    options: Partial<KeeperOptions> = {},
  ) {
    this.#env = env
    this.#events = events
    this.#options = options
  }

  /** Aborts, with a {@link GivenUp} as its reason, when a child cannot be kept running. */
  get gaveUp(): AbortSignal {
    return this.#gaveUp.signal
  }

  /**
   * Starts a role and keeps it running. Resolves with its address when it is ready; a role that dies comes back on the same
   * port.
   *
   * @throws the signal's reason when it aborts first
   */
  async start(plan: RolePlan, signal: AbortSignal): Promise<Listening> {
    const { name, role, takesInput } = plan
    const { onLine, onNote, onStarted } = this.#events
    let env = environmentOf(this.#env, plan)
    const listening = Promise.withResolvers<Listening>()
    let known = false
    const keeper = new Keeper(
      realTimers,
      (onExit) => {
        const child = startChild({
          role,
          env,
          takesInput,
          onExit,
          onLine: (line) => {
            const found = readListening(line)
            if (found !== undefined) {
              keeper.isUp()
              if (known) onNote(name, 'is back', 'info')
              known = true
              // The others know this port: the next one must take it again.
              env = { ...env, PENSTOCK_PORT: String(found.port) }
              listening.resolve(found)
            }
            onLine(name, line)
          },
        })
        onStarted(name, child.pid)
        return child
      },
      {
        onDown(exit, waitMs) {
          onNote(name, `${describeExit(exit)}: starting it again in ${waitMs / 1_000} s`, 'warn')
        },
        onGivenUp: (exit) => this.#gaveUp.abort(new GivenUp(name, exit)),
      },
      this.#options,
    )
    this.#keepers.set(name, keeper)
    const ended = AbortSignal.any([signal, this.gaveUp])
    const onEnd = () => listening.reject(ended.reason as Error)
    ended.addEventListener('abort', onEnd)
    try {
      ended.throwIfAborted()
      keeper.start()
      const found = await listening.promise
      await this.#readyAt(found.url, name, ended)
      return found
    } finally {
      ended.removeEventListener('abort', onEnd)
    }
  }

  /** Resolves when the child is ready to work; tells meanwhile what it waits for, since the others wait for it. */
  async #readyAt(url: string, name: string, ended: AbortSignal): Promise<void> {
    let toldMs = performance.now() + firstToldMs
    let waitMs = 2 * firstToldMs
    for (;;) {
      const state = await readiness(url, ended)
      if (state === true) return
      ended.throwIfAborted()
      if (performance.now() >= toldMs) {
        this.#events.onNote(name, `is not ready, and the others wait for it: ${state}`, 'warn')
        toldMs += waitMs
        waitMs = Math.min(2 * waitMs, toldEveryMs)
      }
      await sleep(readyEveryMs)
    }
  }

  /** Stops what was started last first: nobody shall miss the one that it depends on. */
  async stop(): Promise<void> {
    for (const keeper of [...this.#keepers.values()].reverse()) await keeper.stop()
  }
}
