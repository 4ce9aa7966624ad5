/** The dead letters of all brokers: listed as one, and dealt with by the broker that has them. */

import type { Answer, Request } from '#lib/http/http'
import { query, readQuery } from '#lib/http/query'
import { parseId } from '#wire/ids'
import { lettersListedDefault, lettersListedMax } from '#wire/letters'
import { Problem } from '#wire/problems'

import { broadcast, problemOf } from './broadcast.ts'
import { headersOf, nameOf, type Gateway } from './forward.ts'
import type { Member } from './members.ts'

/** What a broker answers to `GET /dead`. */
interface Listed {
  readonly open: number
  readonly letters: readonly { readonly id: string }[]
  readonly next: string | null
}

/** What a broker answers when it has dealt with letters. */
interface Dealt {
  readonly kept: readonly unknown[]
  readonly unknown: number
  readonly open: number
  readonly [verb: string]: unknown
}

/** The open letters of all brokers, broker by broker. */
export async function forwardLetters(gateway: Gateway, request: Request): Promise<Answer> {
  const asked = readQuery(request, {
    topic: query.text({ required: true }),
    after: query.text(),
    limit: query.integer({ min: 0, max: lettersListedMax }),
  })
  const { topic, after, limit = lettersListedDefault } = asked
  const from = after === undefined ? undefined : parseId(after)
  if (after !== undefined && from === undefined) {
    throw new Problem('bad_parameter', `after=${after}: want the id of a letter`)
  }
  const letters: { readonly id: string }[] = []
  let open = 0
  let next: string | null = null
  const members = [...gateway.cluster.members.all].sort((a, b) => (a.ordinal ?? Infinity) - (b.ordinal ?? Infinity))
  for (const member of members) {
    const isBefore = from !== undefined && (member.ordinal ?? 0) < from.broker
    const room = isBefore ? 0 : limit - letters.length
    const own = new URLSearchParams({ topic, limit: String(room) })
    if (after !== undefined && from?.broker === member.ordinal) own.set('after', after)
    const listed = await list(gateway, request, member, `/dead?${own.toString()}`)
    open += listed.open
    letters.push(...listed.letters)
    // What there was no room to look for is for the next page.
    if (!isBefore && (listed.next !== null || (room === 0 && listed.open > 0))) next = letters.at(-1)?.id ?? null
  }
  return { json: { topic, open, letters, next } }
}

async function list(gateway: Gateway, request: Request, member: Member, path: string): Promise<Listed> {
  const answer = await gateway
    .upstream(member)
    .request('GET', path, { headers: headersOf(request) })
    .catch((error: unknown) => {
      const name = `broker ${member.ordinal ?? member.url}`
      throw new Problem('unavailable', `${name} cannot be asked for its letters: ${(error as Error).message}`, {
        retry_after_s: gateway.retryAfterS,
      })
    })
  if (answer.status !== 200) throw problemOf(answer)
  return JSON.parse(answer.body.toString('utf8')) as Listed
}

/** Passes ids on to the brokers that they name; `{"all":true}` to all. */
export async function forwardDeal(
  gateway: Gateway,
  request: Request,
  path: '/dead/retry' | '/dead/drop',
  body: Uint8Array,
): Promise<Answer> {
  nameOf(request, 'topic')
  const text = Buffer.from(body).toString('utf8')
  const ids = idsIn(text)
  const ownOf = ({ ordinal }: Member): string[] => ids?.filter((id) => parseId(id)?.broker === ordinal) ?? []
  const foreign = ids?.find((id) => !gateway.cluster.members.all.some(({ ordinal }) => parseId(id)?.broker === ordinal))
  if (foreign !== undefined) throw new Problem('bad_request', `${foreign} is the id of no letter of these brokers`)
  const answers = await broadcast(gateway, request, {
    method: 'POST',
    pathOf: (member) =>
      ids === undefined || ownOf(member).length > 0 ? `${path}?${request.query.toString()}` : undefined,
    bodyOf: (member) => Buffer.from(ids === undefined ? text : JSON.stringify({ ids: ownOf(member) })),
  })
  const dealt = answers.map(({ body }) => JSON.parse(body.toString('utf8')) as Dealt)
  const verb = path === '/dead/retry' ? 'retried' : 'dropped'
  const sum = (of: (one: Dealt) => unknown): number => dealt.reduce((total, one) => total + Number(of(one)), 0)
  return {
    json: {
      [verb]: sum((one) => one[verb]),
      kept: dealt.flatMap(({ kept }) => kept),
      unknown: sum(({ unknown }) => unknown),
      open: sum(({ open }) => open),
    },
  }
}

/** The ids of a body; `undefined` where a broker has to judge it. */
function idsIn(text: string): string[] | undefined {
  try {
    const { ids } = JSON.parse(text) as { readonly ids?: unknown }
    return Array.isArray(ids) && ids.length > 0 && ids.every((id) => typeof id === 'string') ? ids : undefined
  } catch {
    return undefined
  }
}
