/** Hostile and oversized requests, and a client that sends them as fast as they are answered. */

import { connect, type Socket } from 'node:net'

/** One kind of request. What is sent may be no HTTP at all. */
export interface Hostile {
  readonly what: string
  readonly bytes: Buffer
  /** Sent, and the connection reset without a look at the answer. */
  readonly leaves?: true
  /** The connection is of no use behind the answer: more is announced than is sent. */
  readonly ends?: true
  /** The statuses that are right. None: a cut without an answer is right, too. */
  readonly statuses: readonly number[]
}

const KiB = 1024

function post(target: string, body: string | Buffer, headers = ''): Buffer {
  const bytes = Buffer.from(body)
  const type = headers.includes('Content-Type') ? '' : 'Content-Type: application/x-ndjson\r\n'
  const head = `POST ${target} HTTP/1.1\r\nHost: t\r\n${type}${headers}Content-Length: ${bytes.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), bytes])
}

function raw(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}

function chunk(size: number): string {
  return `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n`
}

/** For a broker with the topic `telemetry` (2 partitions, `max_bytes` reached in partition 1) and MAX_RECORD_BYTES=1KiB. */
export const hostile: readonly Hostile[] = [
  { what: 'an unknown path', bytes: raw('GET /nowhere HTTP/1.1\r\nHost: t\r\n\r\n'), statuses: [404] },
  { what: 'a method that the path lacks', bytes: raw('PUT /produce HTTP/1.1\r\nHost: t\r\n\r\n'), statuses: [405] },
  { what: 'an unknown topic', bytes: post('/produce?topic=other', '{}'), statuses: [404] },
  { what: 'no topic', bytes: post('/produce', '{}'), statuses: [400] },
  { what: 'a parameter twice', bytes: post('/produce?topic=telemetry&topic=a', '{}'), statuses: [400] },
  { what: 'an unknown parameter', bytes: post('/produce?topic=telemetry&__proto__=a', '{}'), statuses: [400] },
  { what: 'a partition that is none', bytes: post('/produce?topic=telemetry&partition=-1', '{}'), statuses: [400] },
  { what: 'a name with a path', bytes: post('/produce?topic=..%2f..%2fetc', '{}'), statuses: [400] },
  { what: 'a bad escape', bytes: raw('GET /topics/%zz HTTP/1.1\r\nHost: t\r\n\r\n'), statuses: [400] },
  { what: 'no record', bytes: post('/produce?topic=telemetry', '\n\n\n'), statuses: [400] },
  {
    what: 'no JSON',
    bytes: post('/produce?topic=telemetry', '{"a":', 'Content-Type: application/json\r\n'),
    statuses: [400, 200],
  },
  { what: 'binary', bytes: post('/produce?topic=telemetry', Buffer.from([0, 255, 254, 10])), statuses: [415] },
  { what: 'an unknown type', bytes: post('/produce?topic=telemetry', 'x', 'Content-Type: a/b\r\n'), statuses: [415] },
  {
    what: 'a record over the limit',
    bytes: post('/produce?topic=telemetry', `"${'x'.repeat(2 * KiB)}"`),
    statuses: [413],
  },
  { what: 'a full partition', bytes: post('/produce?topic=telemetry&partition=1', '{}'), statuses: [429] },
  { what: 'half a producer', bytes: post('/produce?topic=telemetry', '{}', 'Producer-Id: a\r\n'), statuses: [400] },
  {
    what: 'an ack that is none',
    bytes: post('/ack?topic=telemetry&group=g', '{"ids":[1]}', 'Content-Type: application/json\r\n'),
    statuses: [400, 404],
  },
  {
    what: 'long headers',
    bytes: raw(`GET /health HTTP/1.1\r\nHost: t\r\nA: ${'x'.repeat(20 * KiB)}\r\n\r\n`),
    statuses: [431],
  },
  {
    what: 'endless headers',
    bytes: raw(`GET /health HTTP/1.1\r\nHost: t\r\n${'A: b\r\n'.repeat(20_000)}`),
    statuses: [431, 400],
  },
  {
    what: 'a body that announces a terabyte',
    bytes: raw('POST /produce?topic=telemetry HTTP/1.1\r\nHost: t\r\nContent-Length: 1099511627776\r\n\r\n'),
    ends: true,
    statuses: [413],
  },
  {
    what: 'a chunked body over the limit',
    bytes: raw(
      `POST /seek?topic=telemetry&group=g HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n${chunk(4 * KiB)}0\r\n\r\n`,
    ),
    statuses: [413],
  },
  {
    what: 'chunks that are none',
    bytes: raw('POST /produce?topic=telemetry HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'),
    statuses: [400],
  },
  {
    what: 'a length and chunks',
    bytes: raw('POST /produce HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
    statuses: [400],
  },
  {
    what: 'two lengths',
    bytes: raw('POST /produce HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx'),
    statuses: [400],
  },
  { what: 'words', bytes: raw('hello there, how are you today?\r\n\r\n'), statuses: [400, 505] },
  { what: 'a TLS hello', bytes: raw(`\x16\x03\x01\x02\x00\x01\x00${'\x00'.repeat(60)}\r\n\r\n`), statuses: [400, 505] },
  {
    what: 'a client that leaves in its body',
    bytes: raw(
      `POST /produce?topic=telemetry HTTP/1.1\r\nHost: t\r\nContent-Length: 200000\r\n\r\n${'x'.repeat(100 * KiB)}`,
    ),
    leaves: true,
    statuses: [],
  },
  {
    what: 'a reader that leaves',
    bytes: raw('GET /consume?topic=telemetry HTTP/1.1\r\nHost: t\r\n\r\n'),
    leaves: true,
    statuses: [],
  },
]

/** What costs a connection, or much to send, comes less often. */
const order = hostile.flatMap((kind) => {
  const isDear = kind.leaves === true || kind.bytes.length > 4 * KiB || kind.statuses.includes(505)
  return Array.from({ length: isDear ? 1 : 12 }, () => kind)
})

export interface Flooded {
  readonly sent: number
  /** Answers that are not right: what was sent, and the status that came. */
  readonly wrong: readonly string[]
  readonly byStatus: ReadonlyMap<number, number>
}

/** Sends `count` requests over `connections` connections, in an order that is the same each time. */
export async function flood(port: number, count: number, connections: number): Promise<Flooded> {
  const wrong: string[] = []
  const byStatus = new Map<number, number>()
  let sent = 0
  const one = async (seed: number): Promise<void> => {
    let at = seed * 7919
    let socket: Socket | undefined
    while (sent < count) {
      sent++
      const kind = order[(at += 31) % order.length] as Hostile
      if (socket === undefined || socket.destroyed) socket = await open(port)
      const { status, isLast } = await ask(socket, kind)
      byStatus.set(status, (byStatus.get(status) ?? 0) + 1)
      const isCut = status === 0
      if (kind.leaves !== true && !kind.statuses.includes(status) && !(isCut && kind.statuses.includes(400))) {
        wrong.push(`${kind.what}: ${status}`)
      }
      if (!isLast && kind.ends !== true) continue
      socket.destroy()
      socket = undefined
    }
    socket?.destroy()
  }
  await Promise.all(Array.from({ length: connections }, (_, index) => one(index)))
  return { sent, wrong, byStatus }
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.removeAllListeners('error')
      socket.on('error', () => {})
      resolve(socket)
    })
  })
}

/** Status 0: the connection ended without an answer. */
function ask(socket: Socket, { bytes, leaves }: Hostile): Promise<{ status: number; isLast: boolean }> {
  return new Promise((resolve) => {
    if (leaves === true) {
      socket.write(bytes, () => {
        socket.resetAndDestroy()
        resolve({ status: 0, isLast: true })
      })
      return
    }
    let text = ''
    const done = (status: number, isLast: boolean) => {
      socket.off('data', onData)
      socket.off('close', onClose)
      resolve({ status, isLast })
    }
    const statusOf = () => Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1] ?? 0)
    const onData = (data: Buffer) => {
      text += data.toString('latin1')
      const end = text.indexOf('\r\n\r\n')
      if (end === -1) return
      const head = text.slice(0, end)
      const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
      const isLast = /\r\nconnection: close/i.test(head) || length === undefined
      if (length === undefined || text.length >= end + 4 + Number(length)) done(statusOf(), isLast)
    }
    const onClose = () => done(statusOf(), true)
    socket.on('data', onData)
    socket.once('close', onClose)
    socket.write(bytes)
  })
}
