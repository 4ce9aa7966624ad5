/** `PUT /topics/T` and `PATCH /topics/T`: every broker is told, and what is not known of every broker is said. */

import type { Answer, Request } from '#lib/http/http'

import { broadcast } from './broadcast.ts'
import type { Gateway } from './forward.ts'
import { learnTopics } from './look.ts'

/**
 * Sends the request to every broker; see {@link broadcast}.
 *
 * @throws Problem `unavailable` naming the brokers that did not do it
 */
export async function forwardTopic(gateway: Gateway, request: Request, view: Uint8Array): Promise<Answer> {
  // The view is the engine's after the first await.
  const body = Buffer.from(view)
  const query = request.query.size === 0 ? '' : `?${request.query.toString()}`
  const method = request.method === 'PATCH' ? 'PATCH' : 'PUT'
  try {
    const answers = await broadcast(gateway, request, { method, body, pathOf: () => request.path + query })
    const best = answers.find(({ status }) => status === 201) ?? answers[0]
    return { status: best?.status ?? 200, json: JSON.parse(best?.body.toString('utf8') ?? '{}') as unknown }
  } finally {
    // Some may have done it. Where that fails, the next round of questions will do.
    await learnTopics(gateway).catch(() => {})
  }
}
