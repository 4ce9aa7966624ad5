/**
 * Keeps one process running: starts it again when it dies, waits longer each time that it dies young, and stops it in
 * bounded time. Time and processes are handed in, so that a test can hold every order of events.
 */

export interface Timers {
  /** Milliseconds since some fixed moment. */
  nowMs(): number
  /** Calls back once, unless the returned function is called before. */
  after(ms: number, callback: () => void): () => void
}

/** How a process ended: by itself with a code, by a signal, or it could not be started at all. */
export interface Exit {
  readonly code: number | null
  readonly signal: string | null
  readonly error?: string
}

export interface Running {
  kill(signal: 'SIGTERM' | 'SIGKILL'): void
}

/** Starts the process. `onExit` is called once, never before this returns. */
export type Spawn = (onExit: (exit: Exit) => void) => Running

export interface KeeperEvents {
  /** It ended unasked and starts again after `waitMs`. */
  onDown(exit: Exit, waitMs: number): void
  /** It ended in a way that another start will not mend: {@link isFatal}. It stays stopped. */
  onGivenUp(exit: Exit): void
}

export interface KeeperOptions {
  /** The wait after a first death; it doubles with each death in a row. */
  readonly firstWaitMs: number
  readonly longestWaitMs: number
  /** A process that ran this long has proved itself: the next wait is the first again. */
  readonly provenMs: number
  /** From SIGTERM to SIGKILL. */
  readonly graceMs: number
}

export const keeperDefaults: KeeperOptions = {
  firstWaitMs: 200,
  longestWaitMs: 10_000,
  provenMs: 10_000,
  graceMs: 10_000,
}

/** What a role ends with when a setting is wrong (cli/main.ts). */
const statusOfUsage = 2

export class Keeper {
  readonly #timers: Timers
  readonly #spawn: Spawn
  readonly #events: KeeperEvents
  readonly #options: KeeperOptions
  #running: Running | undefined
  #startedMs = 0
  #deathsInRow = 0
  #wasUp = false
  #cancelTimer: () => void = () => {}
  #stopping: Promise<void> | undefined
  #stopped: () => void = () => {}

  constructor(timers: Timers, spawn: Spawn, events: KeeperEvents, options: Partial<KeeperOptions> = {}) {
    this.#timers = timers
    this.#spawn = spawn
    this.#events = events
    this.#options = { ...keeperDefaults, ...options }
  }

  get isRunning(): boolean {
    return this.#running !== undefined
  }

  /** Starts the process, for the first time or after a wait. Does nothing once {@link stop} was called. */
  start(): void {
    if (this.#running !== undefined || this.#stopping !== undefined) return
    this.#startedMs = this.#timers.nowMs()
    this.#running = this.#spawn((exit) => this.#onExit(exit))
  }

  /** The process works: from now on it is worth a restart, however it ends. */
  isUp(): void {
    this.#wasUp = true
  }

  /** Stops the process, by force after the grace, and keeps it stopped. Resolves when it has ended. */
  stop(): Promise<void> {
    if (this.#stopping !== undefined) return this.#stopping
    this.#stopping = new Promise((resolve) => (this.#stopped = resolve))
    this.#cancelTimer()
    const running = this.#running
    if (running === undefined) this.#stopped()
    else {
      running.kill('SIGTERM')
      this.#cancelTimer = this.#timers.after(this.#options.graceMs, () => running.kill('SIGKILL'))
    }
    return this.#stopping
  }

  #onExit(exit: Exit): void {
    const { firstWaitMs, longestWaitMs, provenMs } = this.#options
    this.#running = undefined
    if (this.#stopping !== undefined) {
      this.#cancelTimer()
      this.#stopped()
      return
    }
    if (isFatal(exit, this.#wasUp)) {
      void this.stop()
      this.#events.onGivenUp(exit)
      return
    }
    if (this.#timers.nowMs() - this.#startedMs >= provenMs) this.#deathsInRow = 0
    const waitMs = Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(this.#deathsInRow++, 30))
    this.#cancelTimer = this.#timers.after(waitMs, () => this.start())
    this.#events.onDown(exit, waitMs)
  }
}

/**
 * Whether the same process would end the same way again: its settings are wrong, or it gave up by itself before it ever
 * worked (a port in use, a data folder that it cannot open). What a signal ended, or what worked before, gets another try.
 */
function isFatal(exit: Exit, wasUp: boolean): boolean {
  if (exit.code === statusOfUsage) return true
  return !wasUp && exit.signal === null
}

/** `killed by SIGKILL`, `ended with status 1`. */
export function describeExit({ code, signal, error }: Exit): string {
  if (error !== undefined) return `could not be started (${error})`
  return signal === null ? `ended with status ${code}` : `was killed by ${signal}`
}
