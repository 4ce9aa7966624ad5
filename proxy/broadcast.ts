/** A request for every broker: a change that all of them make, or that is said not to be made by some. */

import type { Request } from '#lib/http/http'
import { Problem } from '#wire/problems'

import { headersOf, type Gateway } from './forward.ts'
import type { Member } from './members.ts'
import type { Answered } from './answer.ts'

/** What one broker said, or why it said nothing. */
interface Told {
  readonly member: Member
  readonly answer: Answered | undefined
  readonly failure: string
}

export interface Broadcast {
  readonly method: 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly body?: Uint8Array
  /** Where each broker gets a body of its own. */
  bodyOf?(member: Member): Uint8Array
  /** The path for one broker; `undefined` where it has no part in this. */
  pathOf(member: Member): string | undefined
  /** Whether an answer says that it is done; unless told, one below 300. */
  isDone?(answer: Answered): boolean
}

/**
 * Sends a request to every broker, also to those that are thought to be down.
 *
 * A change is not taken back where it succeeded: the same request again is the way on, because it changes nothing where it
 * has been done.
 *
 * @returns what the brokers answered that did it
 * @throws Problem what a broker refused; `unavailable` naming the brokers that did not do it
 */
export async function broadcast(gateway: Gateway, request: Request, what: Broadcast): Promise<readonly Answered[]> {
  const isDone = (answer: Answered): boolean => answer.status < 300 || what.isDone?.(answer) === true
  const told = await Promise.all(
    gateway.cluster.members.all.flatMap((member) => {
      const path = what.pathOf(member)
      return path === undefined ? [] : [tell(gateway, request, member, path, what)]
    }),
  )
  const done = told.filter(({ answer }) => answer !== undefined && isDone(answer))
  const refused = told.find((each) => !done.includes(each) && each.answer !== undefined && each.answer.status < 500)
  // A refusal is about the request, and stays one however often it is sent.
  if (refused !== undefined && (done.length === 0 || isFinal(refused))) throw refusal(refused, done)
  const missing = told.filter((each) => !done.includes(each))
  if (missing.length > 0 || done.length === 0) throw incomplete(gateway, missing, done)
  return done.flatMap(({ answer }) => answer ?? [])
}

async function tell(
  gateway: Gateway,
  request: Request,
  member: Member,
  path: string,
  { method, body: common, bodyOf }: Broadcast,
): Promise<Told> {
  try {
    const body = bodyOf?.(member) ?? common
    const options = { headers: headersOf(request), ...(body === undefined ? {} : { body }) }
    const answer = await gateway.upstream(member).request(method, path, options)
    return { member, answer, failure: answer.status < 300 ? '' : problemOf(answer).message }
  } catch (error) {
    return { member, answer: undefined, failure: (error as Error).message }
  }
}

function isFinal({ answer }: Told): boolean {
  return answer !== undefined && !problemOf(answer).retry
}

/** What a broker refused, as it said it; and who did it all the same. */
function refusal(refused: Told, done: readonly Told[]): Problem {
  const problem = problemOf(refused.answer as Answered)
  const { detail } = problem.toJSON()
  if (done.length === 0) return new Problem(problem.code, detail, problem.extra)
  return new Problem(problem.code, `${nameOf(refused.member)}: ${detail} (done by ${namesOf(done)})`, problem.extra)
}

function incomplete({ retryAfterS }: Gateway, missing: readonly Told[], done: readonly Told[]): Problem {
  const why = missing.map(({ member, failure }) => `${nameOf(member)}: ${failure}`).join('; ')
  const rest = done.length === 0 ? 'no broker has done it' : `done by ${namesOf(done)}`
  return new Problem('unavailable', `not done by ${why}; ${rest}. Send the same request again`, {
    retry_after_s: retryAfterS,
  })
}

function namesOf(told: readonly Told[]): string {
  return told.map(({ member }) => nameOf(member)).join(', ')
}

function nameOf({ ordinal, url }: Member): string {
  return ordinal === undefined ? url : `broker ${ordinal} (${url})`
}

/** The problem that an answer tells. */
export function problemOf({ status, body }: Answered): Problem {
  let json: unknown
  try {
    json = JSON.parse(body.toString('utf8'))
  } catch {
    json = undefined
  }
  return Problem.fromBody(status, json)
}
