/**
 * The one way in which tests start processes: on port 0, ready by event, in a temporary folder, and gone with the test,
 * however the test ends.
 *
 *     const broker = await startRole(t, 'broker', { env: { TOPICS: 'telemetry:partitions=2' } })
 *     await fetch(`${broker.url}/topics`)
 *     await broker.kill('SIGKILL')
 *
 * A child is killed at the end of its test, with everything that it started itself. When the test's own process is
 * killed (tap ends a file that runs too long with SIGKILL, and then no code of ours runs), `test/watchdog.ts` does it.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Started, startedProcess } from './started.ts'
import { guard, killGroup, markOfThisProcess } from './watchdog.ts'

export const root = join(import.meta.dirname, '..')

/** What a process may take to say that it listens and to become ready: generous, for two shared cores. */
const readyTimeoutMs = 120_000

/** What this file needs of tap's `t`. */
export interface Scope {
  teardown(callback: () => unknown): void
}

export interface StartOptions {
  /** Joins a small environment of its own; nothing of the developer's environment but PATH, HOME and the like. */
  readonly env?: Readonly<Record<string, string>>
  /** Default: a temporary folder of the test. */
  readonly cwd?: string
  /** A command that runs the command: `['nsenter', '-t', '4711', '-m']`. */
  readonly under?: readonly string[]
  /** `ignore` (default) is an empty input; `pipe` lets the test write to `stdin`. */
  readonly stdin?: 'ignore' | 'pipe'
}

export interface RoleOptions extends StartOptions {
  /** The `penstock` to run, when not this checkout's. */
  readonly launcher?: string
  readonly args?: readonly string[]
  /** `false`: return once it listens, for a role that cannot become ready yet. */
  readonly awaitReady?: boolean
  /** Asks for `/ready` and `/status`, where the global one does not reach: by TLS. */
  readonly fetch?: typeof fetch
}

/** A role that listens. */
export interface StartedRole extends Started {
  readonly url: string
  readonly port: number
  /** The folder that it keeps its data in: hand it to the next start as `DATA_DIR` to restart the role. */
  readonly dataDir: string
  /** The answer of `GET /status`. */
  status(): Promise<Record<string, unknown>>
}

/**
 * Starts any command. It returns at once; `exited` and `waitFor` tell what becomes of it.
 *
 * @param command looked for in node_modules/.bin first, then in PATH
 */
export function start(t: Scope, command: string, args: readonly string[], options: StartOptions = {}): Started {
  const cwd = options.cwd ?? temporaryFolder(t)
  // tap's hook puts its own --import into the NODE_OPTIONS of every spawn, whatever `env` says; `env -u` takes it out.
  const child: ChildProcess = spawn('env', ['-u', 'NODE_OPTIONS', ...(options.under ?? []), command, ...args], {
    cwd,
    env: environment(options.env),
    stdio: [options.stdin ?? 'ignore', 'pipe', 'pipe'],
    // A process group of its own, so that what it starts can be killed with it.
    detached: true,
  })
  const unguard = guard(child.pid)
  const started = startedProcess(child, [command, ...args].join(' '))
  t.teardown(async () => {
    killGroup(child.pid)
    await started.exited
    unguard()
  })
  return started
}

/** Starts `penstock`, of this checkout unless told, with the arguments, on the Node that runs the test. */
export function startPenstock(t: Scope, args: readonly string[], options: RoleOptions = {}): Started {
  return start(t, process.execPath, [options.launcher ?? join(root, 'cli/penstock.js'), ...args], options)
}

/**
 * Starts `penstock <role>` on a free port with a data folder of its own, and waits until it listens and `/ready` agrees.
 *
 * @throws Error with the last of its output when it ends, or is not ready in time
 */
export async function startRole(t: Scope, role: string, options: RoleOptions = {}): Promise<StartedRole> {
  const dataDir = options.env?.['DATA_DIR'] ?? temporaryFolder(t)
  const env = { PORT: '0', ...options.env, DATA_DIR: dataDir }
  const started = startPenstock(t, [role, ...(options.args ?? [])], { ...options, env })
  const listening = await started.waitFor(isListening, readyTimeoutMs)
  const { url, port } = JSON.parse(listening) as { url: string; port: number }

  const token = options.env?.['SERVICE_TOKEN']
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const send = options.fetch ?? fetch
  if (options.awaitReady !== false) await untilReady(url, started, send)

  return {
    ...started,
    url,
    port,
    dataDir,
    async status() {
      const answer = await send(`${url}/status`, { headers })
      if (!answer.ok) throw new Error(`GET ${url}/status: ${answer.status} ${await answer.text()}`)
      return (await answer.json()) as Record<string, unknown>
    },
  }
}

/** A folder that goes with the test. */
export function temporaryFolder(t: Scope): string {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-test-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}

/**
 * The environment of a child: small, so that neither tap's hooks nor the settings in a developer's shell reach it, and
 * marked, so that the watchdog finds it and whatever it starts.
 */
function environment(given: StartOptions['env']): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const name of ['HOME', 'USER', 'LANG', 'TZ', 'TMPDIR', 'SystemRoot', 'CI']) {
    const value = process.env[name]
    if (value !== undefined) kept[name] = value
  }
  const path = [join(root, 'node_modules/.bin'), process.env['PATH'] ?? ''].join(delimiter)
  return { ...kept, PATH: path, ...markOfThisProcess, ...given }
}

/** The line that every role logs once: `{"msg":"listening","role":…,"url":…,"port":…}`. */
function isListening(line: string): boolean {
  if (!line.startsWith('{')) return false
  try {
    return (JSON.parse(line) as { msg?: unknown }).msg === 'listening'
  } catch {
    return false
  }
}

async function untilReady(url: string, started: Started, send: typeof fetch): Promise<void> {
  const deadlineMs = performance.now() + readyTimeoutMs
  let last = 'no answer'
  while (performance.now() < deadlineMs) {
    if (started.hasExited()) throw new Error(`${started.name} ended before it was ready:\n${started.tail()}`)
    try {
      const answer = await send(`${url}/ready`, {})
      last = await answer.text()
      if (answer.ok) return
    } catch (error) {
      last = String(error)
    }
    await sleep(20)
  }
  throw new Error(`${started.name} was not ready within ${readyTimeoutMs / 1_000} s (${last}):\n${started.tail()}`)
}
