import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Test, test } from 'tap'
import { plainFetch } from './plain-fetch.ts'

async function serve(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('bytes and text arrive whole, and so does the answer, with its status and its headers', async (t) => {
  const url = await serve(t, (request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      response.writeHead(request.method === 'POST' ? 200 : 404, { 'x-seen': request.headers['x-mine'] ?? '' })
      response.end(Buffer.concat(pieces))
    })
  })
  const large = Buffer.alloc(3_000_000, 'gänse ')
  for (const body of [large, large.toString(), new Uint8Array(0)]) {
    const answer = await plainFetch(`${url}/path?a=b`, { method: 'POST', body, headers: { 'x-mine': 'yes' } })
    t.equal(answer.status, 200)
    t.ok(answer.ok)
    t.equal(answer.headers.get('X-Seen'), 'yes')
    t.equal(answer.headers.get('x-other'), null)
    t.ok((await answer.text()) === body.toString(), 'the same bytes')
  }
  const missing = await plainFetch(url)
  t.notOk(missing.ok)
  t.equal(missing.status, 404)
})

test('a stream comes in pieces, and ends when its caller says so, with the reason', async (t) => {
  const url = await serve(t, (_request, response) => {
    response.write('one')
    setTimeout(() => response.write('two'), 10)
  })
  const stop = new AbortController()
  const answer = await plainFetch(url, { signal: stop.signal })
  const reader = (answer.body as NonNullable<typeof answer.body>).getReader()
  t.equal(Buffer.from((await reader.read()).value as Uint8Array).toString(), 'one')
  t.equal(Buffer.from((await reader.read()).value as Uint8Array).toString(), 'two')
  const next = reader.read()
  const reason = new Error('enough')
  stop.abort(reason)
  await t.rejects(next, reason)
  await t.rejects(plainFetch(url, { signal: stop.signal }), reason, 'before it begins')
})

test('nothing is hidden: a server that hangs up, one that is not there, an answer that does not come, a redirect', async (t) => {
  const url = await serve(t, (request, response) => {
    if (request.url === '/redirect') response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end()
    else if (request.url === '/cut') {
      response.write('a piece')
      setTimeout(() => response.destroy(), 10)
    } else if (request.url === '/hang up') response.destroy()
  })
  await t.rejects(plainFetch(`${url}/redirect`, { method: 'POST', body: 'x' }), { message: 'unexpected redirect' })
  await t.rejects(plainFetch('http://127.0.0.1:1/'), { code: 'ECONNREFUSED' })
  const cut = await plainFetch(`${url}/cut`)
  await t.rejects(cut.text(), { code: 'ECONNRESET' })
  const stop = new AbortController()
  const silent = plainFetch(`${url}/silent`, { signal: stop.signal })
  setTimeout(() => stop.abort(new Error('too late')), 10)
  await t.rejects(silent, { message: 'too late' })
})
