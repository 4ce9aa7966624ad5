/** Lines over real sockets: servers of Node, and bare ones that misbehave. */

import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'tap'

import { listen } from '#test/listen'
import type { Scope } from '#test/start'

import type { WholeAnswer } from './answer.ts'
import { Lines } from './lines.ts'
import { Parcel } from './parcel.ts'

function linesTo(t: Scope, url: string, answerMs = 30_000, connectionsMax = 512): Lines {
  const lines = new Lines(url, { answerMs, connectionsMax, connectMs: 2_000 })
  t.teardown(() => lines.close())
  return lines
}

function ask(lines: Lines, body: Buffer, path = '/'): Promise<WholeAnswer> {
  const head = `POST ${path} HTTP/1.1\r\nhost: t\r\ncontent-length: ${body.length}\r\n\r\n`
  return lines.ask(head, new Parcel(body))
}

/** A server of bare sockets, told of each. */
async function bare(t: Scope, onSocket: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    onSocket(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('requests of all sizes are answered, over connections that are used again', async (t) => {
  const ends = new Set<number | undefined>()
  const url = await listen(t, async (request, response) => {
    ends.add(request.socket.remotePort)
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    // Chunked, as a gateway might.
    response.writeHead(200, { 'content-type': 'text/plain' })
    response.write(request.url)
    response.end(Buffer.concat(parts))
  })
  const lines = linesTo(t, url, 30_000, 3)
  const sizes = [0, 1, 1_000, 15_000, 16_384, 100_000, 1_500_000]
  for (let round = 0; round < 3; round++) {
    const answers = sizes.map(async (size, at) => {
      const body = Buffer.alloc(size, 48 + at)
      const path = `/${'p'.repeat(at * 300)}`
      const { status, body: answered } = await ask(lines, body, path)
      t.equal(status, 200)
      t.ok(answered.equals(Buffer.concat([Buffer.from(path), body])), `${size} bytes`)
    })
    await Promise.all(answers)
  }
  t.equal(ends.size, 3, 'as many connections as there may be')
})

test('a request fails with its connection, and the next one has another', async (t) => {
  let connections = 0
  const url = await bare(t, (socket) => {
    connections++
    socket.once('data', () => {
      if (connections === 1) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
      else if (connections === 2) socket.resetAndDestroy()
      else if (connections === 3) socket.end('HTTP/1.1 200 OK\r\n\r\nall')
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
  })
  const lines = linesTo(t, url)
  await t.rejects(ask(lines, Buffer.from('1')), { message: /closed before the answer/ })
  await t.rejects(ask(lines, Buffer.from('2')), { code: 'ECONNRESET' })
  t.equal((await ask(lines, Buffer.from('3'))).body.toString(), 'all')
  t.equal((await ask(lines, Buffer.from('4'))).body.toString(), 'ok')
  t.equal(connections, 4)
})

test('nobody there, nobody who answers, and one who is given up', async (t) => {
  const gone = await bare(t, () => {})
  const silent = await bare(t, () => {})
  const refused = linesTo(t, gone.replace(/\d+$/, '1'))
  const both = await Promise.allSettled([ask(refused, Buffer.from('1')), ask(refused, Buffer.from('2'))])
  t.match(both, [{ reason: { code: 'ECONNREFUSED' } }, { reason: { code: 'ECONNREFUSED' } }])
  await t.rejects(ask(linesTo(t, silent, 100), Buffer.from('1')), { message: 'no answer within 100 ms' })
  const lines = linesTo(t, silent, 30_000, 1)
  const waiting = [ask(lines, Buffer.from('1')), ask(lines, Buffer.from('2'))]
  lines.fail(new Error('given up'))
  for (const one of await Promise.allSettled(waiting)) t.match(one, { reason: { message: 'given up' } })
})

test('an answer that comes before its request is all sent ends the connection', async (t) => {
  let connections = 0
  const url = await bare(t, (socket) => {
    connections++
    socket.once('data', () => {
      socket.pause()
      socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n')
    })
  })
  const lines = linesTo(t, url)
  const large = Buffer.alloc(16 * 1024 * 1024, 1)
  t.equal((await ask(lines, large)).status, 413)
  t.equal((await ask(lines, large)).status, 413)
  t.equal(connections, 2)
})
