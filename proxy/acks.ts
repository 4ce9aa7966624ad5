/** An acknowledgement for several brokers, taken apart by the broker that each id names, and the answers put together. */

import { formatId, parseId, type Ordinal } from '#wire/ids'
import { Problem, problems, type ProblemCode } from '#wire/problems'

/** What came of the ids, in the answer of each path. */
export const verbs = { '/ack': 'acknowledged', '/nack': 'given_back', '/extend': 'extended' } as const

/** A path that takes ids. */
export type AckPath = keyof typeof verbs

/** The fields of their bodies that hold ids. */
const idFields = ['id', 'ids', 'up_to'] as const

/** One broker's part of a body. */
export interface AckPart {
  readonly broker: Ordinal
  /** The ids in it, as they are written. */
  readonly ids: readonly string[]
  readonly body: Readonly<Record<string, unknown>>
}

/** What one broker said to its part. */
export type AckAnswer =
  | { readonly done: number }
  | { readonly problem: { readonly code: ProblemCode; readonly extra: Readonly<Record<string, unknown>> } }

/**
 * Takes a body apart. What is not an id (`delay_ms`, `dead`, `reason`) goes to every broker.
 *
 * @throws Problem `bad_request` when the body is no JSON object, or holds something that is no id
 */
export function splitAck(body: Uint8Array): AckPart[] {
  let given: unknown
  try {
    given = JSON.parse(Buffer.from(body).toString('utf8'))
  } catch {
    given = undefined
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new Problem('bad_request', 'want a JSON object such as {"up_to":["0/3/17"]}')
  }
  const rest = Object.fromEntries(Object.entries(given).filter(([name]) => !idFields.includes(name as 'id')))
  const parts = new Map<Ordinal, { ids: string[]; body: Record<string, string[]> }>()
  for (const field of ['ids', 'up_to'] as const) {
    for (const text of idsOf(given as Record<string, unknown>, field)) {
      const id = typeof text === 'string' ? parseId(text) : undefined
      if (id === undefined) throw new Problem('bad_request', `${JSON.stringify(text)} is no id such as 0/3/17`)
      const part = parts.get(id.broker) ?? { ids: [], body: {} }
      parts.set(id.broker, part)
      const name = formatId(id.broker, id.partition, id.offset)
      part.ids.push(name)
      const list = (part.body[field] ??= [])
      list.push(name)
    }
  }
  if (parts.size === 0) throw new Problem('bad_request', 'the body names no id: want {"up_to":["0/3/17"]}')
  return [...parts].map(([broker, part]) => ({ broker, ids: part.ids, body: { ...rest, ...part.body } }))
}

/**
 * Puts the brokers' answers together: for how many ids it was done, and each for which it was not, with its code.
 *
 * @throws Problem when an id was refused; one that may be retried when all refusals may be
 */
export function joinAcks(
  path: AckPath,
  answers: readonly (readonly [AckPart, AckAnswer])[],
): Readonly<Record<string, number>> {
  const verb = verbs[path]
  let done = 0
  const refused: { id: string; code: string }[] = []
  for (const [part, answer] of answers) {
    if ('done' in answer) {
      done += answer.done
      continue
    }
    const { code, extra } = answer.problem
    if (typeof extra[verb] === 'number') done += extra[verb]
    if (Array.isArray(extra.refused)) refused.push(...(extra.refused as typeof refused))
    else refused.push(...part.ids.map((id) => ({ id, code })))
  }
  if (refused.length === 0) return { [verb]: done }
  const codes = [...new Set(refused.map(({ code }) => code))] as ProblemCode[]
  // A refusal that will not change by itself is told first: to send the rest again cannot mend it.
  const code = codes.find((each) => !problems[each].retry) ?? codes[0] ?? 'internal'
  const extra = { [verb]: done, refused, ...(problems[code].retry ? { retry_after_s: 1 } : {}) }
  throw new Problem(code, `${refused.length} of ${refused.length + done} ids were not ${verb.replace('_', ' ')}`, extra)
}

function idsOf(given: Readonly<Record<string, unknown>>, field: 'ids' | 'up_to'): readonly unknown[] {
  const one = field === 'ids' && given.id !== undefined ? [given.id] : []
  const many = given[field] ?? []
  if (!Array.isArray(many)) throw new Problem('bad_request', `${field} wants a list of ids`)
  return [...one, ...(many as unknown[])]
}
