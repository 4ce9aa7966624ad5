import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'tap'
import { Http } from './http.ts'

test('a server that asks for time is heard: seconds, of a burst and of an outage, within bounds', async (t) => {
  let answer: { readonly status: number; readonly after?: string } = { status: 204 }
  const server = createServer((request, response) => {
    request.resume()
    const { status, after } = answer
    response.writeHead(status, after === undefined ? {} : { 'retry-after': after })
    response.end('{"message":"too many"}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const http = new Http(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.teardown(() => {
    http.close()
    server.close()
    server.closeAllConnections()
  })
  const asked = async (status: number, after?: string): Promise<unknown> => {
    answer = { status, ...(after === undefined ? {} : { after }) }
    return http.send({ method: 'POST', path: '/api/v2/write', body: 'm value=1 1' }).catch((error: unknown) => error)
  }
  const away = { code: 'away', retry: true }
  t.match(await asked(429, '7'), { ...away, retryAfterMs: 7_000, message: /too many \(429\)/ })
  t.match(await asked(503, '30'), { ...away, retryAfterMs: 30_000 })
  t.match(await asked(503, '999999'), { ...away, retryAfterMs: 300_000 }, 'it may have been restarted since')
  t.match(await asked(503), { ...away, retryAfterMs: 0 })
  t.match(await asked(503, 'Wed, 21 Oct 2026 07:28:00 GMT'), { ...away, retryAfterMs: 0 }, 'a date is not read')
  t.match(await asked(400, '7'), { code: 'refused', retry: false }, 'to wait would not help')
})
