/** Brokers and proxies: whether they are reached, take the token, are ready, and what they tell of themselves. */

import { lookup } from 'node:dns/promises'
import { version } from '#lib/version'
import type { QueueStatus } from '#wire/status'
import { type Answered, ask, clockOf, type Silent, shownUrl, textIn } from './ask.ts'
import { type Finding, findingsOf } from './finding.ts'
import { judgeStatus } from './status.ts'

const { ok, problem, skipped } = findingsOf('broker')

export interface Reach {
  readonly url: string
  /** The setting that the address is of, for what to mend. */
  readonly setting: string
  /** A person has given it: then it must answer. */
  readonly isGiven: boolean
  /** Its topics are told by the proxy before it. */
  readonly isBehindProxy?: boolean
  readonly token: string | undefined
  readonly send: typeof fetch | undefined
}

/**
 * What the answer to a question with a token, or key, says of it; `undefined` where nothing is wrong with it.
 *
 * @param variable which has the token
 */
export function whyRefused(
  status: number,
  variable: string,
  isGiven: boolean,
): [what: string, mend: string] | undefined {
  if (status === 401) {
    return isGiven
      ? [`${variable} is not the right one (401)`, `give it the value that the other side was started with`]
      : [
          `it wants ${variable} (401)`,
          `set ${variable}, or ${variable}_FILE, to the value that the other side was started with`,
        ]
  }
  return status === 403 ? [`${variable} may not do this (403)`, 'give one with the right to do it'] : undefined
}

/** What `GET /ready` says: that a broker or proxy is there, and whether it works. */
export function judgeReady(where: string, { setting, isGiven }: Reach, ready: Answered | Silent): Finding | undefined {
  if ('failed' in ready) {
    return isGiven
      ? problem(`nothing answers at ${where} (${ready.failed})`, `start it, or set ${setting} to where it is`)
      : skipped(`no broker answers at ${where}, the default`, `set ${setting} to where one is, or start penstock up`)
  }
  const role = textIn(ready.body, 'role')
  if (role !== 'broker' && role !== 'proxy') {
    const what = `what answers at ${where} is no broker and no proxy`
    return isGiven ? problem(what, `set ${setting} to where one is`) : skipped(what, `set ${setting} to where one is`)
  }
  return ready.status === 200
    ? undefined
    : problem(
        `the ${role} at ${where} is not ready: ${textIn(ready.body, 'detail') ?? ready.status}`,
        'wait for its recovery, or read its log',
      )
}

export async function lookAtBroker(reach: Reach, signal: AbortSignal): Promise<Finding[]> {
  const { url, token, send } = reach
  const where = shownUrl(url)
  const ready = await ask(`${url}/ready`, { signal, send })
  const trouble = judgeReady(where, reach, ready)
  if ('failed' in ready || trouble?.level === 'not looked at') return trouble === undefined ? [] : [trouble]
  const findings = [...(trouble === undefined ? [] : [trouble]), ...clockOf(where, ready)]
  // One that recovers has no status yet.
  if (trouble !== undefined) return findings
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const answer = await ask(`${url}/status`, { signal, send, headers })
  if ('failed' in answer)
    return [...findings, problem(`${where} does not tell its status (${answer.failed})`, 'read its log')]
  const refused = whyRefused(answer.status, 'SERVICE_TOKEN', token !== undefined)
  if (refused !== undefined) return [...findings, problem(`${where}: ${refused[0]}`, refused[1])]
  if (answer.status !== 200) {
    return [...findings, problem(`${where} does not tell its status (${answer.status})`, 'read its log')]
  }
  const { topics, ...own } = answer.body as QueueStatus
  const told = topics === undefined || reach.isBehindProxy === true ? own : { ...own, topics }
  return [...findings, ...judgeStatus(where, told, version)]
}

/** Whether BROKER_SERVICE has addresses. */
export async function lookAtService(name: string, brokersMin: number): Promise<Finding[]> {
  try {
    return [judgeAddresses(name, (await lookup(name, { all: true })).length, brokersMin)]
  } catch (error) {
    const code = String((error as NodeJS.ErrnoException).code)
    return [
      problem(
        `BROKER_SERVICE=${name} has no address (${code})`,
        'give the name of the headless service, or list BROKERS',
      ),
    ]
  }
}

export function judgeAddresses(name: string, addresses: number, brokersMin: number): Finding {
  return addresses < brokersMin
    ? problem(
        `BROKER_SERVICE=${name} has ${addresses} of the ${brokersMin} addresses of BROKER_COUNT`,
        'start the missing brokers; the service must publish addresses that are not ready',
      )
    : ok(`BROKER_SERVICE=${name} has ${addresses} addresses`)
}
