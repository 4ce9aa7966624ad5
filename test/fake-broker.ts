/** For tests: a broker over HTTP that keeps what it is sent, numbers and all, and fails as it is told. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** What happens to a request: it is served, refused before it is written, or written and its answer lost. */
export type Fate = 'served' | 'refused' | 'answer-lost'

export interface FakeBroker {
  readonly url: string
  /** Records by `topic/partition`, dead letters under `<topic>.dead/0`. */
  readonly logs: ReadonlyMap<string, readonly string[]>
  /** Requests that held nothing new. */
  readonly repeats: number
  close(): Promise<void>
}

const partitions = 3

export async function startFakeBroker(fateOf: () => Fate = () => 'served'): Promise<FakeBroker> {
  const logs = new Map<string, string[]>()
  const expected = new Map<string, number>()
  let repeats = 0

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://broker')
    const body = await text(request)
    if (url.pathname === '/topics') {
      const topics = ['telemetry', 'transfers'].map((name) => ({
        name,
        partitions,
        durability: 'disk',
        logs: [],
        groups: [],
      }))
      return answer(response, 200, { topics })
    }
    const fate = fateOf()
    if (fate === 'refused') return answer(response, 503, { code: 'not_writable', detail: 'told to', retry_after_s: 0 })
    const topic = url.searchParams.get('topic')
    const log = url.pathname === '/dead' ? `${topic}.dead/0` : `${topic}/${url.searchParams.get('partition')}`
    const records = body.split('\n').filter((line) => line !== '')
    const sequence = Number(request.headers['producer-sequence'])
    const stream = `${String(request.headers['producer-id'])} ${log}`
    const next = expected.get(stream) ?? 0
    if (sequence < next && sequence + records.length > next) {
      return answer(response, 409, { code: 'sequence_overlap', detail: 'part is known', expected: next })
    }
    if (sequence > next)
      return answer(response, 400, { code: 'bad_sequence', detail: `${sequence} where ${next} is next` })
    if (sequence < next) repeats++
    else {
      expected.set(stream, next + records.length)
      logs.set(log, [...(logs.get(log) ?? []), ...records])
    }
    if (fate === 'answer-lost') return void response.destroy()
    answer(response, 200, {
      count: records.length,
      durability: 'disk',
      ...(sequence < next ? { duplicate: true } : {}),
    })
  }

  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    logs,
    get repeats() {
      return repeats
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': status === 200 ? 'application/json' : 'application/problem+json' })
  response.end(JSON.stringify(body))
}
