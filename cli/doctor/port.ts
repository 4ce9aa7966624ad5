/** The port to listen on: free, or taken, and by whom. */

import { connect } from 'node:net'
import { ask, askMs, textIn } from './ask.ts'
import { type Finding, findingsOf } from './finding.ts'

const { ok, problem, skipped } = findingsOf('port')

/** Who is at a port: nobody, a role of ours (its name), another program, or somebody whose certificate is not trusted here. */
export type Tenant = 'nobody' | 'another' | 'untrusted' | { readonly role: string }

export function judgePort(port: number, tenant: Tenant): Finding {
  if (tenant === 'nobody') return ok(`port ${port} is free`)
  if (tenant === 'untrusted') {
    return skipped(`port ${port} is taken, by a certificate that is not trusted here`, 'set TLS_CA to see who it is')
  }
  if (tenant !== 'another') return ok(`port ${port}: a ${tenant.role} of Penstock answers there`)
  return problem(
    `port ${port} is taken by another program`,
    `stop that program (ss -ltnp 'sport = :${port}'), or set PORT`,
  )
}

export async function tenantOf(
  port: number,
  host: string,
  isTls: boolean,
  send: typeof fetch | undefined,
  signal: AbortSignal,
): Promise<Tenant> {
  const reached = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  if (!(await isTaken(port, reached, signal))) return 'nobody'
  const shown = reached.includes(':') ? `[${reached}]` : reached
  const answer = await ask(`${isTls ? 'https' : 'http'}://${shown}:${port}/ready`, { signal, send })
  if ('failed' in answer) return /CERT|SIGNED|ISSUER|ALTNAME/.test(answer.failed) ? 'untrusted' : 'another'
  const role = textIn(answer.body, 'role')
  return role === undefined ? 'another' : { role }
}

/** Whether somebody listens: asked by a connection, because listening oneself would be in the way of a role that starts now. */
function isTaken(port: number, host: string, signal: AbortSignal): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect({ port, host, signal })
  socket.setTimeout(askMs, () => resolve(false))
  socket.on('connect', () => resolve(true))
  socket.on('error', () => resolve(false))
  return promise.finally(() => socket.destroy())
}
