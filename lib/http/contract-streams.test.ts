/** What every engine does with endless answers, with clients that go away, and at its own end. */

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'tap'
import { ChunkReader, engines, openServer, RawClient } from '#test/http'
import type { Route, Sink } from './http.ts'

const mib = 1024 * 1024

/** A route whose sinks the test is handed. */
function streams(): { route: Route; next(): Promise<Sink> } {
  const waiting: ((sink: Sink) => void)[] = []
  const made: Sink[] = []
  return {
    route: {
      method: 'GET',
      path: '/stream',
      handle: () => ({
        type: 'text/event-stream',
        stream(sink) {
          const first = waiting.shift()
          if (first === undefined) made.push(sink)
          else first(sink)
        },
      }),
    },
    next() {
      const sink = made.shift()
      return sink === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(sink)
    },
  }
}

function drained(sink: Sink): Promise<void> {
  let isDrained: (() => void) | undefined
  sink.onDrain(() => isDrained?.())
  return new Promise((resolve) => (isDrained = resolve))
}

for (const { name, open, isStrict } of engines) {
  test(`${name}: streams`, async (t) => {
    t.test('the head goes out at once, the bytes in order, and nothing buffers them on the way', async (t) => {
      const { route, next } = streams()
      const { port } = await openServer(t, open, [route])
      const client = new RawClient(t, port)
      await client.send('GET', '/stream')
      const { status, headers } = await client.head()
      t.equal(status, 200)
      t.equal(headers.get('content-type'), 'text/event-stream')
      t.equal(headers.get('cache-control'), 'no-store')
      t.equal(headers.get('x-accel-buffering'), 'no')
      t.match(headers.get('x-request-id'), /^\S+$/)
      const sink = await next()
      t.equal(sink.write(Buffer.from('data: 1\n\n')), true)
      t.equal((await client.chunk()).toString(), 'data: 1\n\n')
      sink.write(new Uint8Array(0))
      sink.write(Buffer.from('data: 2\n\n'))
      t.equal((await client.chunk()).toString(), 'data: 2\n\n', 'writing nothing does not end the answer')
    })

    t.test('end() completes the answer and closes once; the connection goes on', async (t) => {
      const { route, next } = streams()
      const { port } = await openServer(t, open, [route])
      const client = new RawClient(t, port)
      await client.send('GET', '/stream')
      const sink = await next()
      let closes = 0
      const closed = new Promise<void>((resolve) => {
        sink.onClose(() => {
          closes++
          resolve()
        })
      })
      sink.write(Buffer.from('last words'))
      sink.end()
      sink.end()
      t.equal(sink.write(Buffer.from('too late')), false)
      t.equal((await client.answer()).body, 'last words')
      await closed
      t.equal(closes, 1)
      t.equal(sink.pendingBytes, 0)
      let late = 0
      sink.onClose(() => late++)
      t.equal(late, 1, 'at once, when it is closed already')
      await client.send('GET', '/nowhere')
      t.equal((await client.answer()).status, 404)
    })

    t.test('a client that leaves closes the sink, once', async (t) => {
      const { route, next } = streams()
      const { port } = await openServer(t, open, [route])
      for (const leave of ['end', 'resetAndDestroy'] as const) {
        const client = new RawClient(t, port)
        await client.send('GET', '/stream')
        const sink = await next()
        let closes = 0
        const closed = new Promise<void>((resolve) => {
          sink.onClose(() => {
            closes++
            resolve()
          })
        })
        sink.write(Buffer.from('x'))
        await client.head()
        if (leave === 'end') client.socket.destroy()
        else client.socket.resetAndDestroy()
        await closed
        t.equal(sink.write(Buffer.from('y')), false)
        t.equal(sink.pendingBytes, 0)
        sink.end()
        t.equal(closes, 1)
      }
    })

    t.test('a slow reader is felt: write says so, pending counts it, drain comes, and no byte is lost', async (t) => {
      const { route, next } = streams()
      const { port } = await openServer(t, open, [route])
      const client = new RawClient(t, port)
      await client.send('GET', '/stream')
      await client.head()
      client.socket.unpipe()
      client.socket.pause()
      const sink = await next()
      let isDrained = false
      const draining = drained(sink).then(() => (isDrained = true))
      const sent = createHash('sha256')
      let sentBytes = 0
      let went = true
      // More than the kernel takes for a connection on loopback whose reader does not read.
      for (let at = 0; sentBytes < 64 * mib; at++) {
        const piece = Buffer.alloc(64 * 1024 + (at % 7), at)
        sent.update(piece)
        sentBytes += piece.length
        went = sink.write(piece)
      }
      t.equal(went, false)
      // A turn of the loop for what the kernel takes.
      await new Promise((resolve) => setImmediate(resolve))
      t.ok(sink.pendingBytes > 16 * mib && sink.pendingBytes < 65 * mib, `${sink.pendingBytes} pending`)
      t.equal(isDrained, false)
      const received = createHash('sha256')
      let receivedBytes = 0
      const reading = (async () => {
        const reader = new ChunkReader()
        for await (const data of client.socket) {
          for (const part of reader.feed(data as Buffer)) {
            received.update(part)
            receivedBytes += part.length
          }
          if (receivedBytes >= sentBytes) break
        }
      })()
      await draining
      t.equal(sink.pendingBytes, 0)
      await reading
      t.equal(receivedBytes, sentBytes)
      t.equal(received.digest('hex'), sent.digest('hex'))
    })

    t.test('drain comes each time that pending falls to 0, below the high-water mark too', async (t) => {
      const { route, next } = streams()
      const { port } = await openServer(t, open, [route])
      const client = new RawClient(t, port)
      await client.send('GET', '/stream')
      await client.head()
      const sink = await next()
      let drains = 0
      let resolve: (() => void) | undefined
      sink.onDrain(() => {
        drains++
        t.equal(sink.pendingBytes, 0)
        resolve?.()
      })
      for (let round = 1; round <= 3; round++) {
        const draining = new Promise<void>((done) => (resolve = done))
        t.equal(sink.write(Buffer.from(`round ${round}`)), true)
        await draining
        t.equal(drains, round)
        t.equal((await client.chunk()).toString(), `round ${round}`)
      }
    })

    t.test('an event is there whole, the end of its chunk too, before anything follows it', async (t) => {
      const { route, next } = streams()
      const { port } = await openServer(t, open, [route])
      const client = new RawClient(t, port)
      await client.send('GET', '/stream')
      await client.head()
      const sink = await next()
      for (const events of ['data: 1\n\n', ': a batch\nid: 2\ndata: 2\n\nid: 3\ndata: 3\n\n', 'data: 4\n\n']) {
        sink.write(Buffer.from(events))
        // Python's urllib3 hands on a chunk when it has seen its end.
        t.ok(await client.bytesUntil(`${events}\r\n`))
      }
    })

    t.test('a stream outlives the time that a request may take to arrive', async (t) => {
      const { route, next } = streams()
      const post: Route = { method: 'POST', path: '/stream', handle: () => ({ json: 1 }) }
      const { port } = await openServer(t, open, [route, post], { limits: { requestMs: 1_000, keepAliveMs: 1_000 } })
      const client = new RawClient(t, port)
      await client.send('GET', '/stream')
      await client.head()
      const sink = await next()
      // Another connection is cut for its slowness: then the time was up for this one as well.
      const slow = new RawClient(t, port)
      await slow.write('POST /stream HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\n')
      t.equal((await slow.answer()).status, 408)
      sink.write(Buffer.from('still here'))
      t.equal((await client.chunk()).toString(), 'still here')
    })

    t.test('a stream whose start throws ends, and is logged', async (t) => {
      const { port, lines } = await openServer(t, open, [
        {
          method: 'GET',
          path: '/stream',
          handle: () => ({
            type: 'text/event-stream',
            stream() {
              throw new Error('a bug')
            },
          }),
        },
      ])
      const client = new RawClient(t, port)
      await client.send('GET', '/stream')
      t.equal((await client.answer()).body, '')
      t.match(lines[0], { level: 'error', err: { message: 'a bug' } })
    })

    t.test('closed aborts when the client goes away before its answer, and only then', async (t) => {
      const started = Promise.withResolvers<AbortSignal>()
      const gate = Promise.withResolvers<void>()
      let answered: AbortSignal | undefined
      const { port } = await openServer(t, open, [
        {
          method: 'GET',
          path: '/slow',
          async handle({ closed }) {
            started.resolve(closed)
            await gate.promise
            return { json: 'nobody hears it' }
          },
        },
        {
          method: 'GET',
          path: '/quick',
          handle({ closed }) {
            answered = closed
            return { json: 1 }
          },
        },
      ])
      const client = new RawClient(t, port)
      await client.send('GET', '/slow')
      const closed = await started.promise
      t.equal(closed.aborted, false)
      const aborting = once(closed, 'abort')
      client.socket.destroy()
      await aborting
      gate.resolve()
      const other = new RawClient(t, port)
      await other.send('GET', '/quick')
      await other.answer()
      other.socket.end()
      await other.closed
      t.equal(answered?.aborted, false)
    })

    t.test('close: streams end, open answers are waited for, nothing new is taken', async (t) => {
      const { route, next } = streams()
      const started = Promise.withResolvers<void>()
      const gate = Promise.withResolvers<void>()
      const server = await openServer(t, open, [
        route,
        {
          method: 'GET',
          path: '/slow',
          async handle() {
            started.resolve()
            await gate.promise
            return { json: 'done' }
          },
        },
      ])
      const [stream, slow, idle] = [0, 1, 2].map(() => new RawClient(t, server.port)) as [
        RawClient,
        RawClient,
        RawClient,
      ]
      await stream.send('GET', '/stream')
      await stream.head()
      await next()
      await slow.send('GET', '/slow')
      await started.promise
      await idle.send('GET', '/nowhere')
      await idle.answer()
      const closing = server.close(60_000)
      t.equal((await stream.chunk()).length, 0, 'the stream is complete')
      if (!isStrict) {
        // uWebSockets.js cuts idle connections last: until then a request on one is answered, and is the last.
        await stream.closed
        await idle.closed
      }
      const late = new RawClient(t, server.port)
      await late.closed
      gate.resolve()
      const answer = await slow.answer()
      t.equal(answer.body, '"done"')
      t.equal(answer.headers.get('connection'), 'close')
      await closing
      await stream.closed
      await idle.closed
      await server.close(0)
    })

    t.test('close: an answer that its reader has not taken yet is not cut', async (t) => {
      const size = 32 * mib
      const server = await openServer(t, open, [
        { method: 'GET', path: '/large', handle: () => ({ type: 'text/plain', bytes: Buffer.alloc(size, 'x') }) },
      ])
      const client = new RawClient(t, server.port)
      await client.send('GET', '/large')
      await client.head()
      const closing = server.close(60_000)
      t.equal((await client.bytes(size)).length, size)
      await closing
    })

    t.test('close: what is left after the grace is cut', async (t) => {
      const { route, next } = streams()
      const server = await openServer(t, open, [
        route,
        { method: 'GET', path: '/never', handle: () => new Promise(() => {}) },
      ])
      const client = new RawClient(t, server.port)
      await client.send('GET', '/never')
      const full = new RawClient(t, server.port)
      await full.send('GET', '/stream')
      await full.head()
      full.socket.unpipe()
      full.socket.pause()
      ;(await next()).write(Buffer.alloc(32 * mib))
      await server.close(50)
      await client.closed
      full.socket.resume()
      await full.closed
    })

    t.test('a port in use is an error for the operator', async (t) => {
      const { port } = await openServer(t, open, [])
      await t.rejects(openServer(t, open, [], { port }), {
        message: `port ${port} is in use: set PORT to another or stop the process that holds it`,
      })
      await t.rejects(openServer(t, open, [], { host: '192.0.2.1' }), {
        message: 'HOST=192.0.2.1: this machine has no such address',
      })
    })
  })
}
