/** The settings of every role that serves by this folder: each spreads them into its own table. */

import { setting, type Settings } from '../settings.ts'
import type { HttpLimits } from './engine.ts'

export const httpSettings = {
  httpEngine: setting.choice('HTTP_ENGINE', {
    help: 'what speaks HTTP: uws (uWebSockets.js), node (node:http), or uws where it is installed and loads',
    values: ['auto', 'uws', 'node'],
    default: 'auto',
  }),
  maxConnections: setting.integer('MAX_CONNECTIONS', {
    help: 'connections that are served at one time; requests of further ones get a 429',
    default: '10000',
    min: 1,
    max: 10_000_000,
  }),
  maxRequestsPerAddress: setting.integer('MAX_REQUESTS_PER_ADDRESS', {
    help: 'requests and streams of one address at one time; further ones get a 429; default as many as come',
    min: 1,
    max: 10_000_000,
  }),
}

export type HttpSettings = Settings<typeof httpSettings>

/** What of the bounds is set. */
export function boundsOf({ maxConnections, maxRequestsPerAddress }: HttpSettings): Partial<HttpLimits> {
  return { connectionsMax: maxConnections, addressRequestsMax: maxRequestsPerAddress ?? Infinity }
}
