/** The store: an InfluxDB that is reached, takes the token and may be written to; or the file of the embedded engine. */

import { StoreError } from '#store/errors'
import { detect, dialectOf, type Identity } from '#store/influx/dialect'
import { Http } from '#store/influx/http'
import { ask, clockOf, shownUrl, textIn } from './ask.ts'
import { type Finding, findingsOf, spanOf } from './finding.ts'

const { ok, warning, problem } = findingsOf('database')

export interface InfluxPlace {
  readonly url: string
  readonly token: string | undefined
  readonly org: string | undefined
  readonly bucket: string
  /** What STORE says: its version, or `undefined` to ask. */
  readonly version: 1 | 2 | 3 | undefined
  /** 0 keeps everything. */
  readonly retentionMs: number
}

/** What an InfluxDB answered to a write of nothing, which tells the rights and leaves nothing behind. */
export interface WriteAnswer {
  readonly status: number
  readonly reason: string
}

export function judgeWrite(
  { bucket, org }: Pick<InfluxPlace, 'bucket' | 'org'>,
  { status, reason }: WriteAnswer,
): Finding {
  if (status === 401)
    return problem(
      'INFLUXDB_TOKEN is not accepted (401)',
      'set it to a token of this server; for InfluxDB 1.x user:password',
    )
  if (status === 403)
    return problem(`INFLUXDB_TOKEN may not write to ${bucket} (403)`, 'give it the right to read and write there')
  if (status === 404 && /organi[sz]ation/i.test(reason)) {
    return problem(
      `there is no organisation ${org ?? '(INFLUXDB_ORG is not set)'}`,
      'set INFLUXDB_ORG to one that is there',
    )
  }
  if (status === 404)
    return warning(
      `there is no ${bucket} yet: the collector makes it, if the token may`,
      'make it, or see that INFLUXDB_BUCKET is right',
    )
  // Where nothing is no body, the rights were looked at before.
  if (status === 204 || status === 400) return ok(`${bucket} can be written to`)
  return problem(`a write to ${bucket} is answered ${status}: ${reason}`, 'read the log of the database')
}

/** @param keepsS what the bucket keeps, 0 for ever; `undefined` where it does not say */
export function judgeRetention(bucket: string, keepsS: number | undefined, retentionMs: number): Finding[] {
  if (keepsS === undefined) return []
  if (keepsS === 0) return [ok(`${bucket} keeps everything`)]
  const wantedS = retentionMs / 1000
  return retentionMs > 0 && keepsS < wantedS
    ? [
        warning(
          `${bucket} keeps ${spanOf(keepsS)}, RETENTION is ${spanOf(wantedS)}: older records are stored and removed at once`,
          'make the two the same',
        ),
      ]
    : [ok(`${bucket} keeps ${spanOf(keepsS)}`)]
}

export async function lookAtInflux(place: InfluxPlace, signal: AbortSignal): Promise<Finding[]> {
  const where = shownUrl(place.url)
  const ping = await ask(`${where}/ping`, { signal })
  if ('failed' in ping) {
    return [problem(`no database answers at ${where} (${ping.failed})`, 'start it, or set INFLUXDB_URL to where it is')]
  }
  const http = new Http(place.url)
  const stop = (): void => http.close()
  signal.addEventListener('abort', stop, { once: true })
  try {
    const identity = await detect(http, place)
    const engine =
      place.version === undefined || place.version === identity.version
        ? ok(`InfluxDB ${identity.release} at ${where}${identity.version === 2 ? '; it needs no DBRP mapping' : ''}`)
        : problem(
            `InfluxDB ${identity.release} at ${where}, STORE=influx${place.version}`,
            `set STORE=influx${identity.version}, or auto`,
          )
    return [engine, ...clockOf(where, ping), ...(await lookAtRights(place, identity, signal))]
  } catch (error) {
    if (error instanceof StoreError)
      return [
        problem(`${where} is not to be used: ${error.code}`, 'see that INFLUXDB_URL is that of an InfluxDB 1, 2 or 3'),
      ]
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
    http.close()
  }
}

async function lookAtRights(place: InfluxPlace, { version }: Identity, signal: AbortSignal): Promise<Finding[]> {
  const { bucket } = place
  const url = shownUrl(place.url)
  const { headers, writePath } = dialectOf(version, place)
  const answer = await ask(url + writePath(bucket, 'ns'), {
    method: 'POST',
    headers: { ...headers, 'content-type': 'text/plain; charset=utf-8' },
    body: '',
    signal,
  })
  if ('failed' in answer) return [problem(`a write is not answered (${answer.failed})`, 'read the log of the database')]
  const reason = textIn(answer.body, 'message') ?? textIn(answer.body, 'error') ?? ''
  const written = judgeWrite(place, { status: answer.status, reason: reason.slice(0, 200) })
  if (written.level !== 'ok' || version !== 2) return [written]
  const query = new URLSearchParams({ name: bucket, ...(place.org === undefined ? {} : { org: place.org }) })
  const found = await ask(`${url}/api/v2/buckets?${query.toString()}`, { headers, signal })
  return [written, ...judgeRetention(bucket, 'failed' in found ? undefined : keptS(found.body), place.retentionMs)]
}

/** `everySeconds` of the rule of the bucket; a bucket without one keeps for ever. */
function keptS(body: unknown): number | undefined {
  const { buckets = [] } = (body ?? {}) as { buckets?: { retentionRules?: { everySeconds?: number }[] }[] }
  const rules = buckets[0]?.retentionRules
  return rules === undefined ? undefined : Math.max(0, ...rules.map(({ everySeconds = 0 }) => everySeconds))
}
