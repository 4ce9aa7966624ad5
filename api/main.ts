/** The role `api`: listens, says so, and stops when it is told to. */

import { createLog } from '#lib/log'
import { createMetrics } from '#lib/metrics'
import { listenError, urlOf } from '#lib/http/server'
import { aborted } from '#lib/stop'
import { openTls } from '#lib/tls'
import { openApiParts } from './routes.ts'
import { apiHostOf, type ApiSettings, checkUsers } from './settings.ts'

const role = 'api'

/**
 * Serves until the signal aborts, then answers what it was asked.
 *
 * @throws SettingsError for a HOST that would let everybody in without a key; Error when the port is taken
 */
export async function run(settings: ApiSettings, signal: AbortSignal): Promise<void> {
  const host = apiHostOf(settings)
  checkUsers(settings)
  const log = createLog(role, settings.logLevel)
  settings.apiKeys?.tell((line, isWell) => log[isWell ? 'info' : 'error'](`API_KEY_FILE: ${line}`))
  settings.serviceToken?.tell((line, isWell) => log[isWell ? 'info' : 'error'](`SERVICE_TOKEN_FILE: ${line}`))
  const metrics = createMetrics(role)
  const tls = openTls(settings, { log, metrics })
  const { app, stop, warm } = await openApiParts(settings, { log, metrics, tls })
  try {
    await app.listen({ host, port: settings.port }).catch((error: unknown) => {
      throw listenError(error, host, settings.port)
    })
    const { port } = app.server.address() as { port: number }
    if (settings.apiKeys === undefined) log.warn('no API_KEY: everybody on this machine may ask')
    log.info({ url: urlOf(host, port, tls.server), port }, 'listening')
    await warm()
    await aborted(signal)
  } finally {
    const cut = setTimeout(() => app.server.closeAllConnections(), settings.stopGraceMs)
    await stop()
    await app.close()
    tls.stop()
    clearTimeout(cut)
  }
}
