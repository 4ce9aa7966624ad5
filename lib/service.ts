/** What every role serves beside its own routes, and how it comes up. */

import { isIP } from 'node:net'
import { Problem } from '#wire/problems'
import type { StatusOf } from '#wire/status'
import { tokenGuard } from './auth.ts'
import type { Answer, Route } from './http/http.ts'
import { chooseEngine } from './http/choose.ts'
import { query, readQuery } from './http/query.ts'
import { serve, type Server } from './http/server.ts'
import { boundsOf, type HttpSettings } from './http/settings.ts'
import { logLevels } from './levels.ts'
import { changeLevel, type Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import { type CommonSettings, SettingsError } from './settings.ts'
import type { Tls } from './tls.ts'
import { version } from './version.ts'

/** The roles that come up this way: the API has a door of its own. */
type Role = Exclude<keyof StatusOf, 'api'>

export interface ServiceOptions<Own extends Role = Role> {
  readonly role: Own
  readonly settings: Pick<CommonSettings, 'host' | 'port' | 'serviceToken'> & HttpSettings
  readonly log: Log
  readonly metrics: Metrics
  readonly tls?: Tls
  readonly routes: readonly Route[]
  /** True, or why the role cannot do its work now. */
  readonly ready: () => true | string
  /** What `GET /ready` tells beside `ready: true`, such as the ordinal of a broker. */
  readonly identity?: () => Readonly<Record<string, unknown>>
  /** What `GET /status` tells of the role, behind `role`, `version` and `uptime_s`. */
  readonly status: () => StatusOf[Own] | Promise<StatusOf[Own]>
}

/**
 * Opens a role's server: its own routes and `/health`, `/ready`, `/metrics` (open) and `/status`. Logs one line,
 * `listening`, with the url and the port: whoever started the process waits for it; and before it one with the HTTP engine.
 *
 * @throws SettingsError for a HOST that would let everybody in without a token, and an engine that does not load
 */
export async function openService<Own extends Role>(options: ServiceOptions<Own>): Promise<Server> {
  const { settings, log, metrics, tls, routes } = options
  const tokens = settings.serviceToken
  tokens?.tell((line, isWell) => log[isWell ? 'info' : 'error'](`SERVICE_TOKEN_FILE: ${line}`))
  const host = hostOf(settings)
  const engine = chooseEngine(settings.httpEngine, tls?.server !== undefined)
  log.info({ engine: engine.name }, `HTTP by ${engine.name}: ${engine.why}`)
  const server = await serve(
    {
      host,
      port: settings.port,
      routes: [...routes, ...ownRoutes(options)],
      guard: tokenGuard(tokens === undefined ? undefined : () => tokens.all),
      log,
      metrics,
      limits: boundsOf(settings),
      tls: tls?.server,
    },
    engine.open,
  )
  log.info({ url: server.url, port: server.port }, 'listening')
  return server
}

function ownRoutes<Own extends Role>(options: ServiceOptions<Own>): Route[] {
  const { role, log, metrics, ready, identity = () => ({}), status } = options
  const startedMs = performance.now()
  return [
    { method: 'GET', path: '/health', open: true, probe: true, handle: () => ({ json: { status: 'ok', version } }) },
    {
      method: 'GET',
      path: '/ready',
      open: true,
      probe: true,
      handle() {
        const state = ready()
        if (state !== true)
          throw new Problem('starting', state, { ready: false, role, ...identity(), retry_after_s: 1 })
        return { json: { ready: true, role, ...identity() } }
      },
    },
    {
      method: 'GET',
      path: '/metrics',
      open: true,
      async handle(): Promise<Answer> {
        const { type, body } = await metrics.text()
        return { type, bytes: body }
      },
    },
    { method: 'GET', path: '/log-level', handle: () => ({ json: { level: log.level } }) },
    {
      method: 'PUT',
      path: '/log-level',
      bodyBytesMax: 0,
      handle(request): Answer {
        const { level } = readQuery(request, { level: query.choice(logLevels, { required: true }) })
        changeLevel(log, level, `PUT /log-level (request ${request.id})`)
        return { json: { level: log.level } }
      },
    },
    {
      method: 'GET',
      path: '/status',
      async handle(): Promise<Answer> {
        const uptimeS = Math.round((performance.now() - startedMs) / 1_000)
        return { json: { role, version, uptime_s: uptimeS, ...(await status()) } }
      },
    },
  ]
}

/**
 * The address to listen on: loopback only, unless there is a token.
 *
 * @throws SettingsError
 */
export function hostOf({ host, serviceToken }: Pick<CommonSettings, 'host' | 'serviceToken'>): string {
  if (serviceToken !== undefined) return host ?? '0.0.0.0'
  if (host === undefined) return '127.0.0.1'
  if (host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))) return host
  throw new SettingsError([`HOST=${host}: want a loopback address, or a SERVICE_TOKEN beside it`])
}
