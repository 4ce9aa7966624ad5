/**
 * `GET /ring`: the table of owners, not the recipe: a client that reads it need not know how it is made.
 *
 * Its `version` names what is owned by whom, and is the same at all proxies that know the same brokers and topics; answers to
 * produce carry it, so that a client with another table asks for a new one. The `ETag` names the whole answer, the members'
 * states too.
 */

import { createHash } from 'node:crypto'

import type { Answer, Request } from '#lib/http/http'
import { ringHeader } from '#wire/ring'

import type { Cluster } from './cluster.ts'
import type { Gateway } from './forward.ts'

/** How long a client may send by a table without asking again, in ms: what is taken out of the ring is left alone after it. */
export const tableAgeMaxMs = 5_000

const versions = new WeakMap<Cluster, { readonly of: number; readonly text: string }>()

/** Names the table of owners. */
export function tableVersion(cluster: Cluster): string {
  const known = versions.get(cluster)
  if (known?.of === cluster.version) return known.text
  const text = digest(JSON.stringify(cluster.recipe))
  versions.set(cluster, { of: cluster.version, text })
  return text
}

/** The answer to a produce request, with the version of the table that it went by. */
export function withVersion({ cluster }: Gateway, answer: Answer): Answer {
  return { ...answer, headers: { ...answer.headers, [ringHeader]: tableVersion(cluster) } }
}

/** Tells the table of all topics, or of one; 304 where the client has this very answer. */
export function tellTable({ cluster }: Gateway, request: Request): Answer {
  const only = request.query.get('topic')
  const names = [...cluster.topics].filter((name) => only === null || name === only)
  const bytes = JSON.stringify({
    version: tableVersion(cluster),
    complete: cluster.complete,
    max_age_ms: tableAgeMaxMs,
    members: cluster.members.all.map(({ ordinal, url, state, writable }) => ({
      broker: ordinal,
      url,
      state,
      writable,
    })),
    topics: Object.fromEntries(names.map((name) => [name, cluster.topic(name)])),
  })
  const headers = { etag: `"${digest(bytes)}"`, 'cache-control': 'no-cache' }
  const known = request.header('if-none-match')?.split(',') ?? []
  const isKnown = known.some((tag) => tag.trim().replace(/^W\//, '') === headers.etag)
  return isKnown
    ? { status: 304, headers, type: 'application/json', bytes: '' }
    : { headers, type: 'application/json', bytes }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}
