/** Rows of a table of routes: each is asked, and what it answers is held against the row and the contract. */

import { Compile } from 'typebox/compile'
import { test } from 'tap'
import { contract, type Operation } from '#api/contract'
import type { Endpoint } from '#api/endpoint'
import { apiLimits } from '#api/limits'
import { problem } from '#api/schemas/records'
import { unboundOf } from '#api/keys/bounds'
import type { Key } from '#api/server/keys'
import { createApi } from '#api/server/server'
import { logTo } from '#lib/log'
import { createMetrics } from '#lib/metrics'
import type { TestApi } from './api.ts'

export interface ApiRow {
  /** What a filled API answers, as far as it is looked at. */
  readonly happy: readonly (readonly [path: string, check: (body: any) => unknown, expected: unknown])[]
  /** What an API with nothing in its store answers. */
  readonly empty?: readonly [path: string, check: (body: any) => unknown, expected: unknown]
  /** Path, status, code, and what the detail must say. */
  readonly wrong: readonly (readonly [path: string, status: number, code: string, detail: RegExp])[]
}

const isProblem = Compile(problem)

/** One test a row; besides what it says, each route wants a key. */
export function testRows(
  { filled, bare }: { readonly filled: TestApi; readonly bare: TestApi },
  rows: Readonly<Partial<Record<Operation, ApiRow>>>,
): void {
  for (const [name, { happy, empty, wrong }] of Object.entries(rows)) {
    const row: Endpoint = contract[name as Operation]
    test(`${name}: ${row.path}`, async (t) => {
      const isAnswer = Compile(row.answer)
      for (const [path, check, expected] of happy) {
        const answer = await filled.get(path)
        const body = await bodyOf(answer)
        t.equal(answer.status, 200, path)
        t.same(check(body), expected, path)
        t.same(isAnswer.Errors(body), [], `${path} is as the contract says`)
      }
      if (empty !== undefined) {
        const [path, check, expected] = empty
        const body = await bodyOf(await bare.get(path))
        t.same(check(body), expected, `${path} of nothing`)
        t.same(isAnswer.Errors(body), [])
      }
      for (const [path, status, code, detail] of wrong) {
        const answer = await filled.get(path)
        const body = (await answer.json()) as Record<string, unknown>
        t.same([answer.status, body['code']], [status, code], path)
        t.match(body['detail'], detail, path)
        t.equal(answer.headers.get('content-type'), 'application/problem+json')
        t.ok(isProblem.Check(body), `${path}: a problem as the contract says`)
      }
      const path = happy[0]?.[0] as string
      for (const headers of [{}, { 'x-api-key': 'wrong' }, { authorization: 'Bearer wrong' }]) {
        const answer = await fetch(filled.url + path, { headers: headers as Record<string, string> })
        t.equal(answer.status, 401, `${row.path} without a key`)
      }
      t.equal(await statusFor(['produce', 'consume'], path), 403, `${row.path} with a key of other scopes`)
    })
  }
}

async function bodyOf(answer: Response): Promise<unknown> {
  return answer.headers.get('content-type')?.startsWith('application/json') === true ? answer.json() : answer.text()
}

/** What a key of these scopes is answered with; a right one is answered by nobody. */
async function statusFor(scopes: Key['scopes'], url: string): Promise<number> {
  const bounds = unboundOf({ gpus: 'telemetry', transfers: 'transfers' })
  const own: Key = { id: 'a', scopes, bounds, isLive: () => true }
  const app = await createApi({
    keys: { isOpen: false, find: () => own },
    anyone: own,
    userOf: () => undefined,
    trustsForwarder: () => false,
    log: logTo('api', 'silent', { write: () => {} }),
    metrics: createMetrics('api'),
    handlers: {} as never,
    openStream: () => () => {},
    corsOrigins: [],
    rateLimit: 100,
    wrongKeyLimit: 60,
    limits: apiLimits,
    accessLog: false,
    tls: undefined,
    wallMs: () => 0,
  })
  const { statusCode } = await app.inject({ url, headers: { 'x-api-key': 'any' } })
  await app.close()
  return statusCode
}
