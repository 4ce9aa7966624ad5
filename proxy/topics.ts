/** `PUT /topics/T` and `PATCH /topics/T`: every broker is told, and what is not known of every broker is said. */

import type { Answer, Request } from '#lib/http/http'
import { Problem } from '#wire/problems'

import { headersOf, type Gateway } from './forward.ts'
import { learnTopics } from './look.ts'
import type { Member } from './members.ts'
import type { Answered } from './upstream.ts'

/** What one broker said, or why it said nothing. */
interface Told {
  readonly member: Member
  readonly answer: Answered | undefined
  readonly failure: string
}

/**
 * Sends the request to every broker, also to those that are thought to be down.
 *
 * A change is not taken back where it succeeded: the same request again is the way on, because it changes nothing where it
 * has been done.
 *
 * @throws Problem `unavailable` naming the brokers that did not do it
 */
export async function forwardTopic(gateway: Gateway, request: Request, view: Uint8Array): Promise<Answer> {
  // The view is the engine's after the first await.
  const body = Buffer.from(view)
  const query = request.query.size === 0 ? '' : `?${request.query.toString()}`
  const told = await Promise.all(
    gateway.cluster.members.all.map((member) => tell(gateway, request, member, request.path + query, body)),
  )
  const done = told.filter(({ answer }) => answer !== undefined && answer.status < 300)
  // Where that fails, the next round of questions will do.
  if (done.length > 0) await learnTopics(gateway).catch(() => {})
  const refused = told.find(({ answer }) => answer !== undefined && answer.status >= 300 && answer.status < 500)
  // A refusal is about the request, and stays one however often it is sent.
  if (refused !== undefined && (done.length === 0 || isFinal(refused))) throw refusal(refused, done)
  const missing = told.filter((each) => !done.includes(each))
  const answers = done.flatMap(({ answer }) => answer ?? [])
  const best = answers.find(({ status }) => status === 201) ?? answers[0]
  if (missing.length > 0 || best === undefined) throw incomplete(gateway, missing, done)
  return { status: best.status, json: JSON.parse(best.body.toString('utf8')) as unknown }
}

async function tell(gateway: Gateway, request: Request, member: Member, path: string, body: Buffer): Promise<Told> {
  const method = request.method === 'PATCH' ? 'PATCH' : 'PUT'
  try {
    const answer = await gateway.upstream(member).request(method, path, { headers: headersOf(request), body })
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

function problemOf({ status, body }: Answered): Problem {
  let json: unknown
  try {
    json = JSON.parse(body.toString('utf8'))
  } catch {
    json = undefined
  }
  return Problem.fromBody(status, json)
}
