/** Questions to the API, in the types of its contract. */

import type { AnswerOf, Operation, ProblemAnswer } from '#api/contract'

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

type Query = Readonly<Record<string, string | readonly string[]>>

const paths = {
  listGpus: '/api/v1/gpus',
  getFleetHistory: '/api/v1/fleet/history',
  listSites: '/api/v1/sites',
  getPipeline: '/api/v1/pipeline',
  stream: '/api/v1/stream',
} as const satisfies Partial<Record<Operation, string>>

/** An answer that was a refusal, or none. */
export class Refused extends Error {
  override readonly name = 'Refused'
  /** 0: no answer. */
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Longer than any answer that will be of use. */
const answerMsMax = 20_000

export class Api {
  readonly #fetch: Fetch
  readonly #key: string | undefined

  /** @param key `undefined`: an API on this machine may want none */
  constructor(fetch: Fetch, key: string | undefined) {
    this.#fetch = fetch
    this.#key = key
  }

  /** @throws Refused */
  ask<Name extends Exclude<keyof typeof paths, 'stream'>>(name: Name, query: Query, signal: AbortSignal) {
    return this.#json<AnswerOf<Name>>(paths[name] + search(query), signal)
  }

  /** @throws Refused */
  telemetry(gpu: string, query: Query, signal: AbortSignal) {
    const path = `/api/v1/gpus/${encodeURIComponent(gpu)}/telemetry${search(query)}`
    return this.#json<AnswerOf<'getGpuTelemetry'>>(path, signal)
  }

  /**
   * Opens the live stream.
   *
   * @param lastId of the last event that came, to go on behind it
   * @throws Refused
   */
  stream(query: Query, lastId: string, signal: AbortSignal): Promise<Response> {
    const headers = { accept: 'text/event-stream', ...(lastId === '' ? {} : { 'last-event-id': lastId }) }
    return this.#get(paths.stream + search(query), headers, signal)
  }

  async #json<Answer>(path: string, signal: AbortSignal): Promise<Answer> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(answerMsMax)])
    const answer = await this.#get(path, { accept: 'application/json' }, limit)
    try {
      return (await answer.json()) as Answer
    } catch (error) {
      throw new Refused(0, signal.aborted ? 'ended' : `the answer broke off (${String(error)})`)
    }
  }

  async #get(path: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
    const keyed = this.#key === undefined ? headers : { ...headers, 'x-api-key': this.#key }
    let answer: Response
    try {
      answer = await this.#fetch(path, { headers: keyed, signal, cache: 'no-store', credentials: 'omit' })
    } catch {
      throw new Refused(0, 'no connection')
    }
    if (!answer.ok) throw new Refused(answer.status, await detailOf(answer))
    return answer
  }
}

async function detailOf(answer: Response): Promise<string> {
  try {
    const { detail } = (await answer.json()) as ProblemAnswer
    return detail
  } catch {
    return `status ${answer.status}`
  }
}

function search(query: Query): string {
  const parameters = new URLSearchParams()
  for (const [name, values] of Object.entries(query)) {
    for (const value of typeof values === 'string' ? [values] : values) parameters.append(name, value)
  }
  const text = parameters.toString()
  return text === '' ? '' : `?${text}`
}
