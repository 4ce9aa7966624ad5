/** How a role reaches another by TLS: connections that trust TLS_CA and show a certificate. Loads undici only where it is needed. */

import type { buildConnector } from 'undici'
import type { ClientTls } from './tls.ts'

/** How long a connection may take to be made. */
const connectMs = 10_000

/**
 * Makes connections for a pool or an agent of undici: each by what the files hold when it is made.
 *
 * @param servername what the certificate must name, where the address is none
 */
export async function connectorOf(
  tls: ClientTls,
  timeoutMs = connectMs,
  servername?: string,
): Promise<buildConnector.connector> {
  const undici = await import('undici')
  const name = servername === undefined ? {} : { servername }
  // No session is kept: a server that asks for certificates resumes none.
  const make = (options: ClientTls['options']) =>
    undici.buildConnector({ ...options, ...name, timeout: timeoutMs, allowH2: false, maxCachedSessions: 0 })
  let current = make(tls.options)
  tls.onChange((options) => (current = make(options)))
  return (options, callback) => current(options, callback)
}

/**
 * A `fetch` over such connections; `undefined` where the global one does.
 *
 * @param servername what the certificate must name, where the address is none
 */
export async function fetchOf(tls: ClientTls | undefined, servername?: string): Promise<typeof fetch | undefined> {
  if (tls === undefined) return undefined
  const { Agent, fetch: send } = await import('undici')
  // As the global fetch: an answer may take as long as its caller waits.
  const dispatcher = new Agent({ connect: await connectorOf(tls, connectMs, servername) })
  const dialled = (input: string, init: object) => send(input, { ...init, dispatcher })
  return dialled as unknown as typeof fetch
}

/** Such a `fetch` for each name that certificates must have: made once. */
export type Dial = (servername: string | undefined) => Promise<typeof fetch | undefined>

export function dialOf(tls: ClientTls | undefined): Dial {
  const made = new Map<string | undefined, Promise<typeof fetch | undefined>>()
  return (servername) => {
    const known = made.get(servername) ?? fetchOf(tls, servername)
    made.set(servername, known)
    return known
  }
}
