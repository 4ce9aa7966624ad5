/** `POST /seek` and `DELETE /topics/T/groups/G`: a group is one on all brokers. */

import type { Answer, Request } from '#lib/http/http'
import { parseId } from '#wire/ids'

import { broadcast, problemOf } from './broadcast.ts'
import { nameOf, type Gateway } from './forward.ts'
import type { Member } from './members.ts'

/** Lets a group go on elsewhere on every broker; where ids are given, on those that they name. */
export async function forwardSeek(gateway: Gateway, request: Request): Promise<Answer> {
  nameOf(request, 'topic')
  const group = nameOf(request, 'group')
  const from = request.query.get('from') ?? ''
  const ids = from.split(',').map(parseId)
  const areIds = ids.every((id) => id !== undefined)
  const pathOf = ({ ordinal }: Member): string | undefined => {
    const query = new URLSearchParams(request.query)
    if (areIds) {
      const own = from.split(',').filter((text) => parseId(text)?.broker === ordinal)
      if (own.length === 0) return undefined
      query.set('from', own.join(','))
    }
    return `/seek?${query.toString()}`
  }
  const answers = await broadcast(gateway, request, { method: 'POST', pathOf })
  const next = answers.flatMap(({ body }) => (JSON.parse(body.toString('utf8')) as { readonly next: string[] }).next)
  return { json: { group, next } }
}

/** Deletes a group on every broker. One that does not know it has nothing to delete. */
export async function forwardGroupDelete(gateway: Gateway, request: Request): Promise<Answer> {
  const answers = await broadcast(gateway, request, {
    method: 'DELETE',
    pathOf: () => request.path,
    isDone: (answer) => answer.status === 404 && problemOf(answer).code === 'unknown_group',
  })
  const [first] = answers
  if (first !== undefined && answers.every(({ status }) => status >= 300)) throw problemOf(first)
  return { json: { deleted: request.params['group'] } }
}
