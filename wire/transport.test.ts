import type { ServerResponse } from 'node:http'
import { mock } from 'node:test'
import { test } from 'tap'
import { answer, listen } from '#test/listen'
import { Problem } from './problems.ts'
import { retryAfterMs, Transport, type ClientOptions } from './transport.ts'

/** What a promise rejects with. */
async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  )
}

test('what is asked, and what is answered', async (t) => {
  const seen: unknown[] = []
  const url = await listen(t, ({ method, url: path, headers }, response) => {
    seen.push([method, path, headers.authorization])
    answer(response, 200, { a: 1 })
  })
  const transport = new Transport({ url: `${url}/gateway/`, token: 'secret' })
  t.same(await transport.json('GET', '/x', { query: { a: 'b&c', none: undefined, n: 7 } }), { a: 1 })
  t.same(seen, [['GET', '/gateway/x?a=b%26c&n=7', 'Bearer secret']])
})

test('what is sent is not sent on: a redirect is a failure that says what to do', async (t) => {
  const seen: unknown[] = []
  const url = await listen(t, ({ method, url: path, headers }, response) => {
    seen.push([method, path, headers['content-length']])
    response.writeHead(path === '/produce' ? 308 : 200, { location: `${url}/elsewhere` }).end('{}')
  })
  const transport = new Transport({ url })
  const body = new TextEncoder().encode('{"a":1}\n')
  const error = await errorOf(transport.json('POST', '/produce', { body }))
  t.match(error, { code: 'unavailable', message: `${url}: it redirects: give the address that it leads to` })
  t.same(seen, [['POST', '/produce', '8']], 'nobody else was asked')
  await transport.json('POST', '/elsewhere', { body })
  t.equal(new TextDecoder().decode(body), '{"a":1}\n', 'the body is still its owner’s')
})

test('each failure is a problem that says whether to try again', async (t) => {
  const fates: Record<string, (response: ServerResponse) => void> = {
    '/full': (response) => answer(response, 429, { code: 'partition_full', detail: 'full', retry_after_s: 3 }),
    '/header': (response) => answer(response, 503, { code: 'starting', detail: 'soon' }, { 'retry-after': '7' }),
    '/date': (response) =>
      answer(response, 503, { code: 'starting' }, { 'retry-after': 'Fri, 31 Dec 1999 23:59:59 GMT' }),
    '/age': (response) => answer(response, 503, { code: 'starting' }, { 'retry-after': '999999' }),
    '/gateway': (response) => void response.writeHead(502).end('<h1>nginx</h1>'),
    '/wrong': (response) => answer(response, 404, { code: 'unknown_topic', detail: 'there is no topic' }),
    '/page': (response) => void response.end('<h1>Welcome</h1>'),
    '/cut': (response) => void response.destroy(),
    '/half': (response) => void response.writeHead(200, { 'content-length': 9 }).write('{}', () => response.destroy()),
  }
  const url = await listen(t, (request, response) => fates[request.url ?? '']?.(response))
  const transport = new Transport({ url })
  const told: Record<string, unknown> = {}
  for (const path of Object.keys(fates)) {
    const error = await errorOf(transport.json('GET', path))
    told[path] = [error instanceof Problem && error.code, retryAfterMs(error)]
  }
  t.same(told, {
    '/full': ['partition_full', 3000],
    '/header': ['starting', 7000],
    '/date': ['starting', 0],
    '/age': ['starting', 300_000],
    '/gateway': ['unavailable', 0],
    '/wrong': ['unknown_topic', false],
    '/page': ['unavailable', 0],
    '/cut': ['unavailable', 0],
    '/half': ['unavailable', 0],
  })
  t.equal(retryAfterMs(new TypeError('a mistake of ours')), false)
})

test('an answer that does not come, or not to its end, is not waited for without end', async (t) => {
  const url = await listen(t, ({ url: path }, response) => {
    if (path === '/body') response.writeHead(200).write('{')
  })
  const transport = new Transport({ url, timeoutMs: 30 })
  const expected = { code: 'unavailable', message: `unavailable: ${url} does not answer within 0.03 s` }
  await t.rejects(transport.json('GET', '/silent'), expected)
  await t.rejects(transport.json('GET', '/body'), expected)
  await t.rejects(transport.open('/stream', { signal: new AbortController().signal }), expected)
})

test('the time-out does not bound a stream, the signal does', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  let heard: AbortSignal | null | undefined
  const opened: typeof fetch = async (_, init) => {
    heard = init?.signal
    return new Response('')
  }
  const stop = new AbortController()
  await new Transport({ url: 'http://broker', fetch: opened }).open('/stream', { signal: stop.signal })
  mock.timers.tick(3_600_000)
  t.equal(heard?.aborted, false)
  stop.abort(new Error('enough'))
  t.match(heard?.reason, { message: 'enough' })
})

test('an abort is told as its reason', async (t) => {
  const stop = new AbortController()
  const reason = new Error('enough')
  const url = await listen(t, () => stop.abort(reason))
  const transport = new Transport({ url })
  await t.rejects(transport.json('GET', '/', { signal: stop.signal }), reason, 'under way')
  await t.rejects(transport.json('GET', '/', { signal: stop.signal }), reason, 'before')
})

test('an address or token that cannot work is refused without telling the password', (t) => {
  const messageOf = (options: ClientOptions): string => {
    try {
      return new Transport(options).url
    } catch (error) {
      return (error as Error).message
    }
  }
  t.match(messageOf({ url: 'localhost' }), /localhost cannot be read: want http/)
  t.match(messageOf({ url: 'ftp://localhost' }), /want http:\/\/ or https/)
  const secrets = ['http://me:hunter2@localhost', 'http://me:hunter2@localhost:x', 'me:hunter2@localhost']
  const told = secrets
    .map((url) => messageOf({ url }))
    .filter((text) => !/want|token/.test(text) || text.includes('hunter2'))
  t.same(told, [])
  t.match(messageOf({ url: 'http://h', token: 'a\nb' }), /the token holds/)
  t.equal(messageOf({ url: 'http://h/gateway/', token: 'from-a-file\n' }), 'http://h/gateway')
  t.end()
})
