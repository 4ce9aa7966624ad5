/** The dead letters: the API passes on what the broker keeps. */

import { Client, type ClientOptions } from '#wire/client'
import { Problem } from '#wire/problems'
import type { Handlers } from '../call.ts'
import type { AnswerOf } from '../contract.ts'

export function letterHandlers(
  broker: Pick<ClientOptions, 'url' | 'token' | 'fetch'>,
  topicDefault: string,
): Pick<Handlers, 'listLetters' | 'retryLetters' | 'dropLetters'> {
  const client = new Client({ ...broker, timeoutMs: 10_000 })
  return {
    async listLetters({ query: { topic = topicDefault, ...page }, bounds }) {
      bounds.needTopic(topic)
      const listed = await client.letters(topic, page)
      return { ...listed, letters: [...listed.letters] as AnswerOf<'listLetters'>['letters'] }
    },
    async retryLetters({ query: { topic = topicDefault }, body }) {
      const { retried = 0, kept, unknown, open } = await client.deal(topic, 'retry', choiceOf(body))
      return { retried, kept: [...kept], unknown, open }
    },
    async dropLetters({ query: { topic = topicDefault }, body }) {
      const { dropped = 0, kept, unknown, open } = await client.deal(topic, 'drop', choiceOf(body))
      return { dropped, kept: [...kept], unknown, open }
    },
  }
}

/** @throws Problem `bad_request` */
function choiceOf({ ids, all }: { readonly ids?: string[]; readonly all?: boolean }): readonly string[] | 'all' {
  if (all === true && ids === undefined) return 'all'
  if (all === undefined && ids !== undefined && ids.length > 0) return ids
  throw new Problem('bad_request', 'want {"ids":["0/0/17"]} or {"all":true}')
}
