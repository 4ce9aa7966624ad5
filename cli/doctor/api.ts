/** The API: whether it answers, is ready, and takes the key. */

import { type Answered, ask, clockOf, type Silent, shownUrl, textIn } from './ask.ts'
import { whyRefused } from './broker.ts'
import { type Finding, findingsOf } from './finding.ts'

const { ok, problem, skipped } = findingsOf('api')

export interface ApiPlace {
  readonly url: string
  /** A person has given it: then it must answer. */
  readonly isGiven: boolean
  readonly key: string | undefined
  readonly send: typeof fetch | undefined
}

/** @param asked what it answered to a question that wants a key */
export function judgeApi(where: string, place: ApiPlace, ready: Answered | Silent, asked: Answered | Silent): Finding {
  const missing = place.isGiven ? problem : skipped
  if ('failed' in ready) {
    const what = `no API answers at ${where} (${ready.failed})`
    return missing(what, 'start it, or set API_URL to where it is')
  }
  if (textIn(ready.body, 'role') !== 'api') {
    return missing(`what answers at ${where} is not the API`, 'set API_URL to where it is')
  }
  if (ready.status !== 200) {
    return problem(
      `the API at ${where} is not ready: ${textIn(ready.body, 'detail') ?? ready.status}`,
      'see that it reaches its store',
    )
  }
  if ('failed' in asked) return problem(`the API at ${where} does not answer (${asked.failed})`, 'read its log')
  const refused = whyRefused(asked.status, 'API_KEY', place.key !== undefined)
  if (refused === undefined)
    return ok(`the API at ${where} answers${place.key === undefined ? '' : ', API_KEY is right'}`)
  // Without a key nothing is wrong with the API: it is only that nothing more can be seen.
  return place.key === undefined
    ? ok(`the API at ${where} answers, and wants a key`)
    : problem(`the API at ${where}: ${refused[0]}`, refused[1])
}

export async function lookAtApi(place: ApiPlace, signal: AbortSignal): Promise<Finding[]> {
  const { url, key, send } = place
  const ready = await ask(`${url}/ready`, { signal, send })
  const isThere = !('failed' in ready) && textIn(ready.body, 'role') === 'api'
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` }
  const asked = isThere ? await ask(`${url}/api/v1/metrics`, { signal, send, headers }) : ready
  const where = shownUrl(url)
  const finding = judgeApi(where, place, ready, asked)
  return finding.level === 'not looked at' ? [finding] : [finding, ...clockOf(where, ready)]
}
