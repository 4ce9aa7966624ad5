/** TLS and client certificates at a server of lib/http: who is let in, and what a renewal does. */

import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { type Test, test } from 'tap'
import { newAuthority, replace } from '#test/certificates'
import { openServer } from '#test/http'
import { temporaryFolder } from '#test/start'
import { skipWithout, tools } from '#test/tools'
import { fetchOf } from './dial.ts'
import type { Sink } from './http/http.ts'
import { openNode } from './http/node.ts'
import { SettingsError } from './settings.ts'
import { hasCertificate, openTls, type TlsSettings } from './tls.ts'

const skip = skipWithout(tools.openssl)
const everyMs = 20

/** The lines of a log, and the wait for one of them. */
function noted() {
  const lines: string[] = []
  const waiting: { fits: RegExp; resolve: (line: string) => void }[] = []
  const note = (line: string) => {
    lines.push(line)
    for (const each of waiting) if (each.fits.test(line)) each.resolve(line)
  }
  const until = (fits: RegExp) =>
    new Promise<string>((resolve) => {
      const found = lines.find((line) => fits.test(line))
      if (found === undefined) waiting.push({ fits, resolve })
      else resolve(found)
    })
  return { lines, until, log: { info: note, error: note } as never }
}

function tlsOf(t: Test, settings: TlsSettings, log = noted().log) {
  const tls = openTls(settings, { log, everyMs })
  t.teardown(() => tls.stop())
  return tls
}

function setUp(t: Test) {
  const folder = temporaryFolder(t)
  const authority = newAuthority(t, 'of the test')
  const { cert, key } = authority.sign(folder, 'server')
  return { folder, authority, settings: { tlsCert: cert, tlsKey: key } }
}

const routes = [
  { method: 'GET', path: '/health', probe: true, handle: () => ({ json: { status: 'ok' } }) },
  { method: 'GET', path: '/topics', handle: () => ({ json: [] }) },
] as const

/** The serial number of the certificate that a server shows to a new connection. */
async function serialAt(port: number, ca: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', ca: readFileSync(ca) })
  await once(socket, 'secureConnect')
  const { serialNumber } = socket.getPeerCertificate()
  socket.destroy()
  return serialNumber
}

test('who knows the authority is answered by TLS; others and plain HTTP are not', { skip }, async (t) => {
  const { authority, settings } = setUp(t)
  const { server } = tlsOf(t, settings)
  const { url, port } = await openServer(t, openNode, routes, { tls: server })
  t.equal(url, `https://127.0.0.1:${port}`)
  const knowing = await fetchOf(tlsOf(t, { tlsCa: authority.path }).client)
  t.equal((await knowing?.(`${url}/topics`, {}))?.status, 200)
  await t.rejects(fetch(`${url}/topics`), 'the authorities of the system do not know it')
  await t.rejects(fetch(`http://127.0.0.1:${port}/topics`))
  const stranger = newAuthority(t, 'another')
  const other = await fetchOf(tlsOf(t, { tlsCa: stranger.path }).client)
  await t.rejects(other?.(`${url}/topics`, {}) as Promise<Response>)
})

test('with TLS_CLIENT_CA nobody is told anything without a certificate of it, but probes', { skip }, async (t) => {
  const { folder, authority, settings } = setUp(t)
  const { server } = tlsOf(t, { ...settings, tlsClientCa: authority.path })
  const { url } = await openServer(t, openNode, routes, { tls: server })
  const mine = authority.sign(folder, 'client')
  const stranger = newAuthority(t, 'of the test').sign(folder, 'stranger')
  const by = async (path: string, own?: { cert: string; key: string }) => {
    const pair = own === undefined ? {} : { tlsClientCert: own.cert, tlsClientKey: own.key }
    const send = await fetchOf(tlsOf(t, { tlsCa: authority.path, ...pair }).client)
    const answer = (await send?.(url + path, {})) as Response
    return [answer.status, ((await answer.json()) as { code?: string }).code]
  }
  t.same(await by('/topics', mine), [200, undefined])
  t.same(await by('/none', mine), [404, 'not_found'])
  for (const [who, own] of Object.entries({ nobody: undefined, 'of another authority of that name': stranger })) {
    t.same(await by('/health', own), [200, undefined], who)
    t.same(await by('/topics', own), [403, 'certificate_needed'], who)
    t.same(await by('/none', own), [403, 'certificate_needed'], `${who}: what exists is not told`)
  }
})

test('a session that is resumed lets nobody in', { skip }, async (t) => {
  const { folder, authority, settings } = setUp(t)
  const ca = readFileSync(authority.path)
  /** Connects, and once more by the session of the first connection. */
  const twice = async (port: number, first: object) => {
    const before = connect({ port, host: '127.0.0.1', ca, ...first })
    const [session] = (await once(before, 'session')) as [Buffer]
    before.destroy()
    const after = connect({ port, host: '127.0.0.1', ca, session })
    t.teardown(() => after.destroy())
    await once(after, 'secureConnect')
    return after
  }
  const { server } = tlsOf(t, { ...settings, tlsClientCa: authority.path })

  // A server that gives out tickets, which ours does not: what it makes of a session that had no certificate.
  const seen: TLSSocket[] = []
  const giving = createServer({ ...server?.options, secureOptions: 0 }, (socket) => void seen.push(socket.resume()))
  t.teardown(() => giving.close())
  await new Promise<void>((resolve) => giving.listen(0, '127.0.0.1', resolve))
  t.ok((await twice((giving.address() as { port: number }).port, {})).isSessionReused())
  while (seen.length < 2) await once(giving, 'secureConnection')
  t.same(seen.map(hasCertificate), [false, false])
  for (const socket of seen) socket.destroy()

  const { port } = await openServer(t, openNode, routes, { tls: server })
  const { cert, key } = authority.sign(folder, 'client')
  const resumed = await twice(port, { cert: readFileSync(cert), key: readFileSync(key) })
  t.notOk(resumed.isSessionReused(), 'a session with a certificate would outlive the trust in it')
  resumed.write('GET /topics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n')
  let text = ''
  for await (const piece of resumed) text += String(piece)
  t.match(text, /^HTTP\/1\.1 403/)
})

test('a renewed certificate is shown to new connections, and cuts no stream', { skip }, async (t) => {
  const { folder, authority, settings } = setUp(t)
  const { log, until } = noted()
  const { server } = tlsOf(t, settings, log)
  let sink: Sink | undefined
  const stream = { method: 'GET', path: '/stream', handle: () => ({ type: 'text/plain', stream: hold }) } as const
  function hold(given: Sink) {
    sink = given
    given.write(Buffer.from('before,'))
  }
  const { url, port } = await openServer(t, openNode, [...routes, stream], { tls: server })
  const asked = request(`${url}/stream`, { ca: readFileSync(authority.path) }).end()
  const [answer] = await once(asked, 'response')
  const old = await serialAt(port, authority.path)

  replace({ cert: settings.tlsCert, key: settings.tlsKey }, authority.sign(folder, 'renewed'))
  await until(/the certificate of this role was read again/)
  t.not(await serialAt(port, authority.path), old)
  sink?.write(Buffer.from('after'))
  sink?.end()
  let text = ''
  for await (const piece of answer) text += String(piece)
  t.equal(text, 'before,after')
})

test('what cannot be used is told, and the certificate before stays', { skip }, async (t) => {
  const { folder, authority, settings } = setUp(t)
  const { log, lines, until } = noted()
  const { server } = tlsOf(t, settings, log)
  const { port } = await openServer(t, openNode, routes, { tls: server })
  const old = await serialAt(port, authority.path)
  writeFileSync(settings.tlsCert, 'no certificate')
  t.match(await until(/cannot be used/), /TLS_CERT=\S+server\.pem, TLS_KEY=.*what was read before stays/)
  t.equal(await serialAt(port, authority.path), old)
  t.equal(lines.length, 1, 'and it is told once')
  replace({ cert: settings.tlsCert, key: settings.tlsKey }, authority.sign(folder, 'mended'))
  await until(/was read again/)
  t.not(await serialAt(port, authority.path), old)
})

test('a client shows its renewed certificate, and asks by its new authority', { skip }, async (t) => {
  const { folder, authority, settings } = setUp(t)
  const next = newAuthority(t, 'the next')
  const mine = authority.sign(folder, 'client')
  const ca = join(folder, 'authority.pem')
  writeFileSync(ca, readFileSync(authority.path))
  const { server } = tlsOf(t, { ...settings, tlsClientCa: next.path })
  const { url } = await openServer(t, openNode, routes, { tls: server })
  const { log, until } = noted()
  const { client } = tlsOf(t, { tlsCa: ca, tlsClientCert: mine.cert, tlsClientKey: mine.key }, log)
  // Each of its requests makes a connection of its own.
  const ask = async () => (await (await fetchOf(client))?.(`${url}/topics`, {}))?.status
  t.equal(await ask(), 403)
  replace(mine, next.sign(folder, 'renewed'))
  await until(/was read again/)
  t.equal(await ask(), 200)
})

test('wrong files end the start, and say what is wrong', { skip }, (t) => {
  const { folder, authority, settings } = setUp(t)
  const { log } = noted()
  const other = authority.sign(folder, 'other')
  const wrong = (given: TlsSettings, says: RegExp) => {
    t.throws(() => openTls(given, { log }), says)
    t.throws(() => openTls(given, { log }), SettingsError)
  }
  wrong({ tlsCert: settings.tlsCert }, /TLS_CERT and TLS_KEY: want both, or neither/)
  wrong({ tlsClientKey: other.key }, /TLS_CLIENT_CERT and TLS_CLIENT_KEY: want both/)
  wrong({ tlsClientCa: authority.path }, /TLS_CLIENT_CA is set: want TLS_CERT and TLS_KEY beside it/)
  wrong({ tlsCert: settings.tlsCert, tlsKey: other.key }, /TLS_KEY=\S+other\.key: .*want PEM files/)
  wrong({ tlsCert: join(folder, 'none.pem'), tlsKey: other.key }, /none\.pem.*ENOENT/)
  wrong({ ...settings, tlsClientCa: settings.tlsKey }, /no certificate of an authority/)
  t.same(openTls({}, { log }).server, undefined)
  t.end()
})
