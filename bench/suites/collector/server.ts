/** The InfluxDB 2 that the contestants write to, and how many rows a bucket of it has. */

import { influx2, type StartedInflux } from '#test/influx'

import type { Bench } from '../../measure.ts'
import type { Scope } from '#test/scope'

export interface Database extends StartedInflux {
  /** As the collector's environment names it. */
  env(bucket: string): Record<string, string>
  newBucket(name: string): Promise<void>
  /** Rows of a measurement's field. */
  count(bucket: string, measurement: string, field: string): Promise<number>
  /** Writes line protocol, and throws where the server refuses it. */
  write(bucket: string, body: string): Promise<void>
}

/** `undefined`, and a line that says so, where there is none. */
export async function startDatabase(bench: Bench, scope: Scope): Promise<Database | undefined> {
  if (influx2.skip !== false) {
    bench.say(`left out: ${influx2.skip}`)
    return undefined
  }
  const started = await influx2.start(scope)
  const { influxdbUrl: url, influxdbToken: token = '', influxdbOrg: org = '' } = started.settings
  const headers = { authorization: `Token ${token}` }
  const send = async (path: string, init: RequestInit): Promise<Response> => {
    const answer = await fetch(url + path, { ...init, headers })
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return answer
  }
  return {
    ...started,
    env: (bucket) => ({ INFLUXDB_URL: url, INFLUXDB_TOKEN: token, INFLUXDB_ORG: org, INFLUXDB_BUCKET: bucket }),
    async newBucket(name) {
      const answer = await send(`/api/v2/orgs?org=${org}`, {})
      const { orgs } = (await answer.json()) as { orgs: { id: string }[] }
      await send('/api/v2/buckets', { method: 'POST', body: JSON.stringify({ orgID: orgs[0]?.id, name }) })
    },
    async count(bucket, measurement, field) {
      const query = new URLSearchParams({ db: bucket, q: `SELECT count("${field}") FROM "${measurement}"` })
      const answer = await send(`/query?${query.toString()}`, {})
      const { results } = (await answer.json()) as { results: { series?: { values: number[][] }[] }[] }
      return results[0]?.series?.[0]?.values[0]?.[1] ?? 0
    },
    async write(bucket, body) {
      // As the engine sends them: `fetch` then makes no copy for a redirect.
      const init: RequestInit = { method: 'POST', body, redirect: 'error', window: null }
      const answer = await send(`/api/v2/write?org=${org}&bucket=${bucket}&precision=ns`, init)
      await answer.body?.cancel()
    },
  }
}
