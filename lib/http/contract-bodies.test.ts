/** What every engine does with bodies: whole, in parts, too large, too slow, and never complete. */

import { createHash } from 'node:crypto'
import { assert, asyncProperty, boolean, integer, array, record } from 'fast-check'
import { test } from 'tap'
import { engines, openServer, RawClient } from '#test/http'
import type { Route } from './http.ts'

const mib = 1024 * 1024

/** Copies what it must before it awaits, and answers what it got. */
const hash: Route = {
  method: 'POST',
  path: '/hash',
  bodyBytesMax: 4 * mib,
  async handle(_, body) {
    const bytes = body.length
    const hex = hashOf(body)
    await Promise.resolve()
    return { json: { bytes, hex } }
  },
}

const small: Route = {
  method: 'POST',
  path: '/small',
  bodyBytesMax: 1_000,
  handle: (_, body) => ({ json: body.length }),
}
const bare: Route = { method: 'POST', path: '/bare', bodyBytesMax: 0, handle: (_, body) => ({ json: body.length }) }
const read: Route = { method: 'GET', path: '/read', handle: (_, body) => ({ json: body.length }) }

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Bytes that differ from place to place, so that a part in the wrong place is seen. */
function bytesOf(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length)
  let state = seed >>> 0
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes[at] = state >>> 24
  }
  return bytes
}

function headOf(path: string, ...headers: string[]): string {
  return `POST ${path} HTTP/1.1\r\nHost: t\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n`
}

function chunkOf(bytes: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')])
}

for (const { name, open, isStrict } of engines) {
  test(`${name}: bodies`, async (t) => {
    t.test('a body arrives whole, however it was cut and framed', async (t) => {
      const { port } = await openServer(t, open, [hash])
      const client = new RawClient(t, port)
      const shape = record({
        length: integer({ min: 0, max: 200_000 }),
        cuts: array(integer({ min: 0, max: 200_000 }), { maxLength: 4 }),
        chunked: boolean(),
        seed: integer(),
      })
      await assert(
        asyncProperty(shape, async ({ length, cuts, chunked, seed }) => {
          const bytes = bytesOf(length, seed)
          await client.write(headOf('/hash', chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`))
          let from = 0
          for (const to of [...cuts.filter((cut) => cut < length).toSorted((a, b) => a - b), length]) {
            if (to > from) {
              const part = bytes.subarray(from, to)
              await client.write(chunked ? chunkOf(part) : part)
            }
            from = to
          }
          if (chunked) await client.write('0\r\n\r\n')
          t.same(JSON.parse((await client.answer()).body), { bytes: length, hex: hashOf(bytes) })
        }),
        { numRuns: 40 },
      )
    })

    t.test('bodies that arrive at the same time do not mix', async (t) => {
      const { port } = await openServer(t, open, [hash])
      const clients = Array.from({ length: 8 }, (_, at) => ({
        client: new RawClient(t, port),
        bytes: bytesOf(300_000 + at, at),
      }))
      for (let round = 0; round < 3; round++) {
        await Promise.all(
          clients.map(({ client, bytes }) => client.write(headOf('/hash', `Content-Length: ${bytes.length}`))),
        )
        for (let from = 0; from < 400_000; from += 50_000) {
          await Promise.all(clients.map(({ client, bytes }) => client.write(bytes.subarray(from, from + 50_000))))
        }
        for (const { client, bytes } of clients) {
          t.same(JSON.parse((await client.answer()).body), { bytes: bytes.length, hex: hashOf(bytes) })
        }
      }
    })

    t.test('a body of exactly the limit is taken, and one byte more is not', async (t) => {
      const { port } = await openServer(t, open, [small, bare, read])
      let client = new RawClient(t, port)
      await client.send('POST', '/small', {}, 'x'.repeat(1_000))
      t.equal((await client.answer()).body, '1000')
      await client.send('POST', '/small', {}, 'x'.repeat(1_001))
      t.match(JSON.parse((await client.answer()).body), { code: 'body_too_large', status: 413, limit_bytes: 1_000 })
      await client.write(headOf('/small', 'Transfer-Encoding: chunked'))
      await client.write(Buffer.concat([chunkOf(bytesOf(600, 1)), chunkOf(bytesOf(401, 2)), Buffer.from('0\r\n\r\n')]))
      const chunked = await client.answer()
      t.equal(chunked.status, 413, 'chunked')
      // Where a body of unknown length ends, an engine need not wait for.
      if (chunked.headers.get('connection') === 'close') client = new RawClient(t, port)
      await client.write(headOf('/small', 'Transfer-Encoding: chunked'))
      await client.write(Buffer.concat([chunkOf(bytesOf(600, 1)), chunkOf(bytesOf(400, 2)), Buffer.from('0\r\n\r\n')]))
      t.equal((await client.answer()).body, '1000', 'chunked')
      await client.send('POST', '/bare')
      t.equal((await client.answer()).body, '0')
      await client.send('POST', '/bare', {}, 'x')
      t.equal((await client.answer()).status, 413)
      await client.write(headOf('/bare', 'Transfer-Encoding: chunked'))
      await client.write('1\r\nx\r\n0\r\n\r\n')
      const bareChunked = await client.answer()
      t.equal(bareChunked.status, 413)
      if (bareChunked.headers.get('connection') === 'close') client = new RawClient(t, port)
      await client.send('GET', '/read', {}, 'x')
      t.equal((await client.answer()).status, 413)
      await client.send('GET', '/read')
      t.equal((await client.answer()).body, '0')
    })

    t.test('a body that announces too much is refused before it comes', async (t) => {
      const { port } = await openServer(t, open, [small])
      const client = new RawClient(t, port)
      await client.write(headOf('/small', `Content-Length: ${1024 * mib}`))
      t.equal((await client.answer()).status, 413)
    })

    t.test('an endless body that nobody wants is not read for ever, and its sender can see why', async (t) => {
      const { port } = await openServer(t, open, [small])
      for (const path of ['/small', '/nowhere']) {
        const client = new RawClient(t, port)
        await client.write(headOf(path, 'Transfer-Encoding: chunked'))
        const chunk = chunkOf(bytesOf(64 * 1024, 7))
        const sending = (async () => {
          while (!client.socket.destroyed) await client.write(chunk)
        })()
        t.equal((await client.answer()).status, path === '/small' ? 413 : 404)
        await client.closed
        await sending
      }
    })

    t.test('a client that leaves half way leaves nothing behind', async (t) => {
      let handled = 0
      const counting: Route = { ...hash, handle: () => ({ json: ++handled }) }
      const { port } = await openServer(t, open, [counting])
      for (const framing of ['Content-Length: 200000', 'Transfer-Encoding: chunked']) {
        const client = new RawClient(t, port)
        await client.write(headOf('/hash', framing))
        await client.write(framing.startsWith('C') ? bytesOf(100_000, 1) : chunkOf(bytesOf(100_000, 1)))
        client.socket.resetAndDestroy()
        await client.closed
      }
      const ends = new RawClient(t, port)
      await ends.write(headOf('/hash', 'Content-Length: 10'))
      ends.socket.end('12345')
      await ends.closed
      const after = new RawClient(t, port)
      await after.send('POST', '/hash', {}, 'x')
      t.equal((await after.answer()).body, '1', 'only this one was handled')
    })

    t.test('a client that waits for 100 Continue gets it, or the refusal', async (t) => {
      const { port } = await openServer(t, open, [small])
      const client = new RawClient(t, port)
      await client.write(headOf('/small', 'Content-Length: 5', 'Expect: 100-continue'))
      t.equal((await client.head()).status, 100)
      await client.write('12345')
      t.equal((await client.answer()).body, '5')
      const refused = new RawClient(t, port)
      await refused.write(headOf('/small', 'Content-Length: 5000', 'Expect: 100-continue'))
      const first = await refused.head()
      if (first.status === 100) t.equal((await refused.answer()).status, 413, 'an engine may ask for the body before')
      else t.equal(first.status, 413)
    })

    t.test('a request that does not come in time is a 408', async (t) => {
      // Long enough for a request to arrive on a machine that has other things to do.
      const limits = { requestMs: 1_000 }
      const { port } = await openServer(t, open, [small], { limits })
      const { port: slowPort } = await openServer(t, open, [small], { limits: { uploadMs: 500, uploadBytesMin: 500 } })
      const starts = [
        ...(isStrict ? [] : ['POST /small HT']),
        headOf('/small', 'Content-Length: 5') + '12',
        headOf('/small', 'Content-Length: 5'),
      ]
      for (const start of starts) {
        const client = new RawClient(t, port)
        await client.write(start)
        const answer = await client.answer()
        t.match(JSON.parse(answer.body), { code: 'request_timeout', status: 408 }, start)
        t.equal(answer.headers.get('retry-after'), '1')
        await client.closed
      }
      const slow = new RawClient(t, slowPort)
      await slow.write(headOf('/small', 'Content-Length: 900'))
      const dripping = setInterval(() => void slow.write('x'), 20)
      t.equal((await slow.answer()).status, 408, 'a body that comes too slowly')
      clearInterval(dripping)
      await slow.closed
      const early = new RawClient(t, port)
      await early.write(headOf('/nowhere', 'Content-Length: 5') + '1')
      t.equal((await early.answer()).status, 404)
      // The engine cuts it by a clock of its own, after half a minute.
      if (isStrict) return
      await early.closed
      await t.rejects(early.head(), { message: /ended/ }, 'one that was refused already is cut without a second answer')
    })

    t.test('chunks that are none', async (t) => {
      const { port } = await openServer(t, open, [small])
      // A strict engine takes the two bytes behind a chunk for its line end, whatever they are.
      for (const bytes of ['zz\r\n', ...(isStrict ? [] : ['5\r\n1234567\r\n']), `1${'0'.repeat(20)}\r\n`]) {
        const client = new RawClient(t, port)
        await client.write(headOf('/small', 'Transfer-Encoding: chunked'))
        await client.write(bytes)
        if (isStrict) t.equal((await client.head()).status, 400, bytes)
        else t.match(JSON.parse((await client.answer()).body), { code: 'bad_request', status: 400 }, bytes)
        await client.closed
      }
    })
  })
}
