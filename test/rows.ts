/** Rows of routes: what each answers, of an API that is filled and of one that is empty, and to whom it does not. */

import { Compile } from 'typebox/compile'
import { test } from 'tap'
import { contract, type Operation } from '#api/contract'
import type { Endpoint } from '#api/endpoint'
import { problem } from '#api/schemas/records'
import { createApi } from '#api/server/server'
import { type Key, Keys } from '#api/server/keys'
import { logTo } from '#lib/log'
import { createMetrics } from '#lib/metrics'
import type { TestApi } from './api.ts'

export interface Row {
  /** What a filled API answers, as far as it is looked at. */
  readonly happy: readonly (readonly [path: string, check: (body: any) => unknown, expected: unknown])[]
  /** What an API with nothing in its store answers. */
  readonly empty?: readonly [path: string, check: (body: any) => unknown, expected: unknown]
  /** Path, status, code, and what the detail must say. */
  readonly wrong: readonly (readonly [path: string, status: number, code: string, detail: RegExp])[]
}

const isProblem = Compile(problem)

export function testRows(
  apis: { readonly filled: TestApi; readonly bare: TestApi },
  rows: Partial<Record<Operation, Row>>,
) {
  for (const [name, { happy, empty, wrong }] of Object.entries(rows)) {
    const row: Endpoint = contract[name as Operation]
    test(`${name}: ${row.path}`, async (t) => {
      const isAnswer = Compile(row.answer)
      for (const [path, check, expected] of happy) {
        const answer = await apis.filled.get(path)
        const body = await answer.json()
        t.equal(answer.status, 200, path)
        t.same(check(body), expected, path)
        t.same(isAnswer.Errors(body), [], `${path} is as the contract says`)
      }
      if (empty !== undefined) {
        const [path, check, expected] = empty
        const body = await apis.bare.json(path)
        t.same(check(body), expected, `${path} of nothing`)
        t.same(isAnswer.Errors(body), [])
      }
      for (const [path, status, code, detail] of wrong) {
        const answer = await apis.filled.get(path)
        const body = (await answer.json()) as Record<string, unknown>
        t.same([answer.status, body['code']], [status, code], path)
        t.match(body['detail'], detail, path)
        t.ok(isProblem.Check(body), `${path}: a problem as the contract says`)
      }
      const path = happy[0]?.[0] as string
      for (const headers of [{}, { 'x-api-key': 'wrong' }]) {
        const answer = await fetch(apis.filled.url + path, { headers: headers as Record<string, string> })
        t.equal(answer.status, 401, `${row.path} without a key`)
      }
      t.equal(await statusFor(['produce', 'consume'], path), 403, `${row.path} with a key of other scopes`)
    })
  }
}

/** What a key of these scopes is answered with; a right one is answered by nobody. */
async function statusFor(scopes: Key['scopes'], url: string): Promise<number> {
  const keys = new (class extends Keys {
    override find(): Key {
      return { id: 'a', scopes }
    }
  })(['a-key-of-these-scopes'])
  const app = await createApi({
    keys,
    log: logTo('api', 'silent', { write: () => {} }),
    metrics: createMetrics('api'),
    handlers: {} as never,
    openStream: () => () => {},
    corsOrigins: [],
    rateLimit: 100,
    wallMs: () => 0,
  })
  const { statusCode } = await app.inject({ url, headers: { 'x-api-key': 'a-key-of-these-scopes' } })
  await app.close()
  return statusCode
}
