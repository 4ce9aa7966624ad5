/** Who did what: one line of the log for each request that changes something or was refused to. */

import type { FastifyRequest } from 'fastify'
import type { Log } from '#lib/log'
import type { Operation } from '../contract.ts'
import type { Endpoint } from '../endpoint.ts'

/** Adds to the line of this request. Never a secret. */
export type Note = (facts: Readonly<Record<string, unknown>>) => void

declare module 'fastify' {
  interface FastifyRequest {
    /** What handlers had to say of what they did. */
    facts: Record<string, unknown> | undefined
  }
  interface FastifyContextConfig {
    /** Set where a request is accounted for. */
    readonly operation?: Operation
  }
}

/** Whether requests of a row are accounted for: those that send records, and those that only an administrator may make. */
export function isAudited({ scope }: Pick<Endpoint, 'scope'>): boolean {
  return scope === 'produce' || scope === 'admin'
}

/**
 * Writes the lines: `{"audit":true,"by":"key-1a2b3c4d","operation":"revokeKey","params":{"id":"…"},"status":200,…}`. They are
 * written at every LOG_LEVEL but `silent`.
 */
export function auditLog(log: Log): (request: FastifyRequest, status: number) => void {
  const audit = log.level === 'silent' ? log : log.child({ audit: true }, { level: 'info' })
  return (request, status) => {
    const { operation, route } = request.routeOptions.config
    if (operation === undefined) return
    const { id, ip, key, method, params, facts } = request
    // Who is nobody is not accounted for, but in the line of the wrong key: else strangers could fill the log.
    const by = (key as typeof key | null)?.id
    if (by === undefined) return
    const outcome = status < 400 ? 'done' : status < 500 ? 'refused' : 'failed'
    const said = { by, operation, outcome, status, method, route, params, address: ip, request: id, ...facts }
    audit.info(said, `${by}: ${operation} ${outcome}`)
  }
}
