/** In what the versions of InfluxDB differ, and how a server is asked for its own. */

import { StoreError } from '../errors.ts'
import type { Precision } from './bodies.ts'
import { type Http, jsonOf, parameters, type Reply } from './http.ts'
import { named } from './influxql.ts'

export type Version = 1 | 2 | 3

/** The tags of each measurement. */
type Tables = Readonly<Record<string, readonly string[]>>

export interface Dialect {
  readonly version: Version
  /** Goes with each request. */
  readonly headers: Readonly<Record<string, string>>
  /** Where lines go. @param precision of their times */
  writePath(database: string, precision: Precision): string
  /** Makes the database, or bucket, where it is not there yet. */
  create(http: Http, database: string, tables: Tables): Promise<void>
  /**
   * Whether a point with the tags and the time of another takes its place. InfluxDB 3 does not say which of two stands, so
   * there each has a time of its own, and readers take the newest.
   */
  readonly overwrites: boolean
  /** Whether `DELETE` is there. */
  readonly deletes: boolean
  /** Whether a table takes a tag that it was not made with. */
  readonly takesTags: boolean
  /** Whether `SHOW SERIES` is there. */
  readonly showsSeries: boolean
  /** Whether the server removes nothing of a database by its age; `undefined`: it does not say, or not to us. */
  keepsAll(http: Http, database: string): Promise<boolean | undefined>
}

export interface Access {
  readonly token: string | undefined
  readonly org: string | undefined
}

/** What a server says that it is. */
export interface Identity {
  readonly version: Version
  /** Such as `2.9.1`. */
  readonly release: string
}

/**
 * Asks the server what it is: the header of `/ping` has its version; InfluxDB 3 wants a token for it.
 *
 * @throws StoreError
 */
export async function detect(http: Http, { token }: Access): Promise<Identity> {
  let response = await http.send({ method: 'GET', path: '/ping', accepts: [401, 403] })
  if (!response.ok && token !== undefined)
    response = await http.send({ method: 'GET', path: '/ping', headers: { authorization: `Bearer ${token}` } })
  const said = versionIn(response)
  const [, release = '', first] = /^v?((\d+)\..*)$/.exec(said ?? '') ?? []
  const version = Number(first)
  if (version === 1 || version === 2 || version === 3) return { version, release }
  // One that was built out of its sources has no number; only a 2 has this path.
  const setup = await http.send({ method: 'GET', path: '/api/v2/setup', accepts: [404, 405] })
  const answer = jsonOf(setup) as { allowed?: unknown } | undefined | null
  if (typeof answer?.allowed === 'boolean') return { version: 2, release: `2 (${said ?? 'unknown'})` }
  throw new StoreError(
    'denied',
    `${http.where}: it does not say that it is an InfluxDB 1, 2 or 3 (${said ?? 'nothing'})`,
  )
}

function versionIn(reply: Reply): string | undefined {
  const header = reply.headers['x-influxdb-version']
  if (typeof header === 'string') return header
  const said = jsonOf(reply) as { version?: unknown } | undefined | null
  return typeof said?.version === 'string' ? said.version : undefined
}

export function dialectOf(version: Version, access: Access): Dialect {
  return version === 1 ? influx1(access) : version === 2 ? influx2(access) : influx3(access)
}

function influx1({ token }: Access): Dialect {
  const authorization = token === undefined ? {} : { authorization: `Basic ${Buffer.from(token).toString('base64')}` }
  return {
    version: 1,
    headers: authorization,
    writePath: (database, precision) => `/write?${parameters({ db: database, precision })}`,
    async create(http, database) {
      const body = parameters({ q: `CREATE DATABASE ${named(database)}` })
      const headers = { ...authorization, 'content-type': 'application/x-www-form-urlencoded' }
      // 403: a user that was granted the database, and may make none. Whether it is there is seen when it is used.
      const response = await http.send({ method: 'POST', path: '/query', body, headers, accepts: [403] })
      if (!response.ok) return
      // A statement that fails does so under status 200.
      const said = jsonOf(response) as { results?: { error?: string }[] } | undefined
      const error = said?.results?.[0]?.error
      if (error !== undefined) throw new StoreError('denied', `${http.where}: ${error}`)
    },
    overwrites: true,
    deletes: true,
    takesTags: true,
    showsSeries: true,
    async keepsAll(http, database) {
      const asked = parameters({ q: `SHOW RETENTION POLICIES ON ${named(database)}` })
      const response = await http.send({
        method: 'GET',
        path: `/query?${asked}`,
        headers: authorization,
        accepts: [403],
      })
      const answer = jsonOf(response) as Policies | undefined
      const { columns = [], values = [] } = answer?.results?.[0]?.series?.[0] ?? {}
      // What has no name of a policy goes into, and comes out of, the default one.
      const policy = values.find((row) => row[columns.indexOf('default')] === true)
      return policy === undefined ? undefined : policy[columns.indexOf('duration')] === '0s'
    },
  }
}

interface Policies {
  readonly results?: readonly { readonly series?: readonly { columns?: string[]; values?: unknown[][] }[] }[]
}

interface Bucket {
  readonly retentionRules?: readonly { readonly everySeconds?: number }[]
}

function influx2({ token, org }: Access): Dialect {
  const headers = token === undefined ? {} : { authorization: `Token ${token}` }
  const ofOrg: Record<string, string> = org === undefined ? {} : { org }
  return {
    version: 2,
    headers,
    writePath: (bucket, precision) => `/api/v2/write?${parameters({ ...ofOrg, bucket, precision })}`,
    async create(http, bucket) {
      const find = parameters({ ...ofOrg, name: bucket })
      const found = await http.send({ method: 'GET', path: `/api/v2/buckets?${find}`, headers, accepts: [404] })
      const { buckets = [] } = (jsonOf(found) ?? {}) as { buckets?: unknown[] }
      if (buckets.length > 0) return
      const answer = await http.send({ method: 'GET', path: `/api/v2/orgs?${parameters(ofOrg)}`, headers })
      const { orgs = [] } = (jsonOf(answer) ?? {}) as { orgs?: { id: string }[] }
      const [only, more] = orgs
      if (only === undefined || more !== undefined)
        throw new StoreError(
          'denied',
          `${http.where}: ${orgs.length} organisations: set INFLUXDB_ORG to one that is there`,
        )
      const body = JSON.stringify({ orgID: only.id, name: bucket, retentionRules: [] })
      // 422: another collector was faster.
      await http.send({ method: 'POST', path: '/api/v2/buckets', headers, body, accepts: [422] })
    },
    overwrites: true,
    deletes: true,
    takesTags: true,
    showsSeries: true,
    async keepsAll(http, bucket) {
      const find = parameters({ ...ofOrg, name: bucket })
      const path = `/api/v2/buckets?${find}`
      const found = await http.send({ method: 'GET', path, headers, accepts: [401, 403, 404] })
      const { buckets = [] } = (jsonOf(found) ?? {}) as { buckets?: readonly Bucket[] }
      // A rule of 0 s is one that keeps for ever.
      return buckets[0]?.retentionRules?.every(({ everySeconds = 0 }) => everySeconds === 0)
    },
  }
}

function influx3({ token }: Access): Dialect {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return {
    version: 3,
    headers,
    writePath: (database, precision) => `/api/v2/write?${parameters({ bucket: database, precision })}`,
    async create(http, database, tables) {
      const configure = (what: string, body: object) =>
        http.send({
          method: 'POST',
          path: `/api/v3/configure/${what}`,
          headers: { ...headers, 'content-type': 'application/json' },
          body: JSON.stringify(body),
          // It is there already.
          accepts: [409],
        })
      await configure('database', { db: database })
      // The tags of a table are those that it is made with.
      for (const [table, tags] of Object.entries(tables)) {
        await configure('table', { db: database, table, tags, fields: [] })
      }
    },
    overwrites: false,
    deletes: false,
    takesTags: false,
    showsSeries: false,
    // Its retention could not be tried out.
    keepsAll: async () => undefined,
  }
}
