/**
 * What an engine does with connections on which nothing is asked, and with those that do not come as far as asking. The time of
 * `uws` for idle ones is its own, half a minute (test/limits.proc.test.ts waits for it), and it speaks no TLS.
 */

import { once } from 'node:events'
import { connect as connectTls } from 'node:tls'
import { type Test, test } from 'tap'
import { newAuthority } from '#test/certificates'
import { engines, openServer, RawClient } from '#test/http'
import { temporaryFolder } from '#test/start'
import { skipWithout, tools } from '#test/tools'
import { logTo } from '../log.ts'
import { openTls, type ServerTls } from '../tls.ts'
import type { Route } from './http.ts'

const hello: Route = { method: 'GET', path: '/hello', handle: () => ({ json: 'hello' }) }

/** What comes on a connection until it ends, and what broke it. */
async function outcome(client: RawClient): Promise<{ readonly bytes: number; readonly error: string | undefined }> {
  let error: string | undefined
  client.socket.on('error', ({ message }) => (error = message))
  let bytes = 0
  for await (const piece of client.rest()) bytes += piece.length
  await client.closed
  return { bytes, error }
}

for (const { name, open, isStrict } of engines) {
  const skip = isStrict && 'its time cannot be set'
  test(`${name}: an idle connection is closed, and no other`, { skip }, async (t) => {
    const [gate, asked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const { port } = await openServer(
      t,
      open,
      [
        hello,
        {
          method: 'GET',
          path: '/slow',
          handle() {
            asked.resolve()
            return gate.promise.then(() => ({ json: 'slow' }))
          },
        },
        {
          method: 'GET',
          path: '/stream',
          handle: () => ({ type: 'text/event-stream', stream: (sink) => void gate.promise.then(() => sink.end()) }),
        },
      ],
      { limits: { keepAliveMs: 100 } },
    )
    const [idle, slow, stream] = [0, 1, 2].map(() => new RawClient(t, port)) as [RawClient, RawClient, RawClient]
    for (const client of [idle, slow]) {
      // A second request: the connection was kept.
      for (let times = 0; times < 2; times++) {
        await client.send('GET', '/hello')
        t.equal((await client.answer()).status, 200)
      }
    }
    const ended = outcome(idle)
    await slow.send('GET', '/slow')
    await stream.send('GET', '/stream')
    t.equal((await stream.head()).status, 200)
    await asked.promise
    t.same(await ended, { bytes: 0, error: undefined }, 'its end is a clean one, without a word')
    // Longer than an idle one was kept, somebody has waited for these.
    gate.resolve()
    t.match(await slow.answer(), { status: 200, body: '"slow"' })
    t.equal((await stream.chunk()).length, 0, 'the stream ends whole')
    t.same(await outcome(slow), { bytes: 0, error: undefined }, 'idle again, and closed again')
  })

  const skipTls = isStrict ? 'it speaks no TLS' : skipWithout(tools.openssl)
  test(`${name}: who does not end the handshake of TLS is cut, and nobody else`, { skip: skipTls }, async (t) => {
    const { port } = await openServer(t, open, [hello], { tls: serverTls(t), limits: { handshakeMs: 300 } })
    const secure = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    t.teardown(() => secure.destroy())
    await once(secure, 'secureConnect')
    const unended: Readonly<Record<string, (client: RawClient) => unknown>> = {
      'says nothing': () => {},
      'says half of its hello': (client) => client.write(helloHead),
      // What it says gives it no more time.
      'says a byte now and then': async (client) => {
        await client.write(helloHead)
        const drops = setInterval(() => client.socket.write('\0'), 20)
        void client.closed.then(() => clearInterval(drops))
      },
    }
    for (const [what, say] of Object.entries(unended)) {
      const client = new RawClient(t, port)
      const ended = outcome(client)
      await say(client)
      t.equal((await ended).bytes, 0, `${what}: it is cut without a word, in which nobody could read anything`)
    }
    secure.write('GET /hello HTTP/1.1\r\nHost: t\r\n\r\n')
    const [answer] = (await once(secure, 'data')) as [Buffer]
    t.match(answer.toString(), /^HTTP\/1\.1 200 /, 'who ended it in time has time')
  })

  test(`${name}: a handshake under way does not hold up a server that closes`, { skip: skipTls }, async (t) => {
    const server = await openServer(t, open, [hello], { tls: serverTls(t) })
    const client = new RawClient(t, server.port)
    await client.write(helloHead)
    // Behind a connection that came later the server has seen this one.
    const secure = connectTls({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false })
    await once(secure, 'secureConnect')
    const ended = outcome(client)
    await server.close(1_000_000)
    t.equal((await ended).bytes, 0)
  })
}

/** The head of a record of 512 bytes, a hello of a client, and the first of its bytes. */
const helloHead = Buffer.from('160301020001', 'hex')

function serverTls(t: Test): ServerTls {
  const { cert, key } = newAuthority(t, 'authority').sign(temporaryFolder(t), 'server')
  const log = logTo('test', 'silent', { write: () => {} })
  const { server, stop } = openTls({ tlsCert: cert, tlsKey: key }, { log })
  t.teardown(stop)
  return server as ServerTls
}
