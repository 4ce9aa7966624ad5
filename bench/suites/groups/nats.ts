/**
 * NATS JetStream, of a nats-server that the suite starts: a stream in files, read as the ordered consumer of its clients reads
 * it: an ephemeral push consumer with flow control and heartbeats, without acknowledgements, that counts what comes.
 *
 * The reader is ours, not one of NATS's own clients. Of the protocol (https://docs.nats.io/reference/reference-protocols) it
 * does what a client has to do, and not more, so that the server is what is measured.
 */

import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { join } from 'node:path'

import { start, type Scope } from '#test/start'

import type { Bench } from '../../measure.ts'
import { dial } from '../../load/socket.ts'

const stream = 'LOAD'
const subject = 'load'

/** Publishes without an answer yet, at most: what NATS's Go client allows by default. */
const publishedMax = 4000
const publishedAtOnce = 500

const heartbeatNs = 5_000_000_000

/** A server that says nothing for as long as six heartbeats is gone. */
const silenceMsMax = 30_000

export interface JetStream {
  readonly version: string
  /** Publishes a record so many times into the empty stream, and waits until the server has acknowledged them all. */
  load(record: Buffer, records: number): Promise<void>
  /**
   * Reads the stream from its start until so many records came.
   *
   * @throws Error when one is missing or not in its place
   */
  consume(records: number, onRecord: (text: string) => void): Promise<void>
}

/** Starts a server, with an empty stream; `undefined`, and says so, where there is no nats-server. */
export async function startJetStream(bench: Bench, scope: Scope): Promise<JetStream | undefined> {
  const { error, stdout } = spawnSync('nats-server', ['--version'], { encoding: 'utf8' })
  if (error !== undefined) {
    bench.say('SKIPPED: no nats-server on the PATH, nothing is compared with NATS JetStream')
    return undefined
  }
  const folder = join(bench.folder, 'nats')
  await mkdir(folder)
  const args = ['--addr', '127.0.0.1', '--port', '-1', '--jetstream', '--store_dir', folder]
  const listening = await start(scope, 'nats-server', args, { cwd: folder }).waitFor(/Listening for client connections/)
  const port = Number(listening.slice(listening.lastIndexOf(':') + 1))
  await withConnection(port, (nats) =>
    nats.ask(`$JS.API.STREAM.CREATE.${stream}`, { name: stream, subjects: [subject], storage: 'file' }),
  )
  return {
    version: stdout.slice(stdout.lastIndexOf(' ') + 1).trim(),
    load: (record, records) => withConnection(port, (nats) => load(nats, record, records)),
    consume: (records, onRecord) => withConnection(port, (nats) => consume(nats, records, onRecord)),
  }
}

async function load(nats: Connection, record: Buffer, records: number): Promise<void> {
  let acknowledged = 0
  nats.subscribe('_INBOX.load', (_reply, answer) => {
    acknowledged++
    if ((JSON.parse(answer) as { seq?: number }).seq !== acknowledged) throw new Error(answer)
  })
  const one = `PUB ${subject} _INBOX.load ${record.length}\r\n${record.toString('latin1')}\r\n`
  const whole = Buffer.from(one.repeat(publishedAtOnce), 'latin1')
  for (let sent = 0; sent < records; sent += publishedAtOnce) {
    await nats.until(() => sent - acknowledged <= publishedMax - publishedAtOnce)
    nats.write(whole.subarray(0, one.length * Math.min(publishedAtOnce, records - sent)))
  }
  await nats.until(() => acknowledged === records)
}

async function consume(nats: Connection, records: number, onRecord: (text: string) => void): Promise<void> {
  let seen = 0
  // Of its own: for some seconds the server takes another reader of the same subject for the consumer before it.
  const inbox = `_INBOX.${randomUUID()}`
  nats.subscribe(inbox, (reply, text, headers) => {
    if (headers !== '') return onStatus(nats, reply, headers, seen)
    seen++
    // `$JS.ACK.….<number in the stream>.<number at this consumer>.<time>.<pending>`
    const timeAt = wordAt(reply, wordAt(reply, reply.length, dot) - 1, dot)
    const number = numberIn(reply, wordAt(reply, timeAt - 1, dot), timeAt - 1)
    if (number !== seen) throw new Error(`record ${seen} of the stream came as ${reply}`)
    onRecord(text)
  })
  await nats.ask(`$JS.API.CONSUMER.CREATE.${stream}`, {
    stream_name: stream,
    config: {
      deliver_subject: inbox,
      deliver_policy: 'all',
      ack_policy: 'none',
      max_deliver: 1,
      flow_control: true,
      idle_heartbeat: heartbeatNs,
    },
  })
  await nats.until(() => seen >= records)
  if (seen !== records) throw new Error(`${seen} records came of ${records}`)
}

/** A message without a record: a request to say that what was sent before it has been read, or a heartbeat. */
function onStatus(nats: Connection, reply: string, headers: string, seen: number): void {
  if (!headers.startsWith('NATS/1.0 100 ')) throw new Error(headers)
  if (reply !== '') nats.publish(reply, '')
  const last = /Nats-Last-Consumer: (\d+)/.exec(headers)
  if (last !== null && Number(last[1]) !== seen) throw new Error(`${seen} records came: ${headers}`)
  const stalled = /Nats-Consumer-Stalled: (\S+)/.exec(headers)
  if (stalled !== null) nats.publish(stalled[1] as string, '')
}

/** `reply` and `headers` are '' in a message that has none. */
type OnMessage = (reply: string, text: string, headers: string) => void

async function withConnection<T>(port: number, work: (nats: Connection) => Promise<T>): Promise<T> {
  const nats = await Connection.open(port)
  try {
    return await work(nats)
  } finally {
    nats.close()
  }
}

class Connection {
  readonly #socket: Socket
  /** By number of the subscription. */
  readonly #subscribers: OnMessage[] = []
  #rest = ''
  #failed: Error | undefined
  #waiting: { isDone: () => boolean; resolve: () => void; reject: (error: Error) => void } | undefined

  static async open(port: number): Promise<Connection> {
    return new Connection(await dial(port))
  }

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setTimeout(silenceMsMax)
    socket.on('data', (chunk: Buffer) => {
      try {
        this.#take(chunk)
        if (this.#waiting?.isDone() === true) this.#waiting.resolve()
      } catch (error) {
        this.#fail(error as Error)
      }
    })
    socket.on('error', (error) => this.#fail(error))
    socket.on('timeout', () => this.#fail(new Error('nats-server says nothing')))
    socket.on('close', () => this.#fail(new Error('nats-server has closed the connection')))
    const options = { verbose: false, pedantic: false, headers: true, no_responders: true, lang: 'bench', version: '0' }
    socket.write(`CONNECT ${JSON.stringify(options)}\r\n`)
  }

  write(bytes: Buffer | string): void {
    this.#socket.write(bytes)
  }

  publish(to: string, text: string, reply = ''): void {
    this.write(`PUB ${to} ${reply} ${Buffer.byteLength(text)}\r\n${text}\r\n`)
  }

  subscribe(to: string, onMessage: OnMessage): void {
    this.write(`SUB ${to} ${this.#subscribers.push(onMessage) - 1}\r\n`)
  }

  /** Waits for the answer of the server's API, an object. */
  async ask(to: string, question: unknown): Promise<void> {
    let answer: string | undefined
    const inbox = `_INBOX.ask.${this.#subscribers.length}`
    this.subscribe(inbox, (_reply, text, headers) => (answer = text === '' ? headers : text))
    this.publish(to, JSON.stringify(question), inbox)
    await this.until(() => answer !== undefined)
    if (!answer?.startsWith('{') || 'error' in (JSON.parse(answer) as object)) throw new Error(`${to}: ${answer}`)
  }

  /** One at a time; looked at when something has come. */
  until(isDone: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failed !== undefined) reject(this.#failed)
      else if (isDone()) resolve()
      else this.#waiting = { isDone, resolve, reject }
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #fail(error: Error): void {
    this.#failed ??= error
    this.#waiting?.reject(this.#failed)
  }

  /** As our own parser does it: in a text, and not in bytes, where every search and every slice leaves the engine. */
  #take(chunk: Buffer): void {
    // What comes is ASCII, so that the lengths in it are lengths of the text.
    const text = this.#rest + chunk.toString('latin1')
    let at = 0
    for (let lineEnd = text.indexOf('\n') - 1; lineEnd >= 0; lineEnd = text.indexOf('\n', at) - 1) {
      const from = lineEnd + 2
      const hasHeaders = text.charCodeAt(at) === upperH
      if (hasHeaders || text.charCodeAt(at) === upperM) {
        // `MSG <subject> <subscription> [reply] <bytes>`; `HMSG` has the bytes of the headers before those of all.
        const sizeAt = wordAt(text, lineEnd, space)
        const to = from + numberIn(text, sizeAt, lineEnd)
        if (text.length < to + 2) break
        const headersAt = hasHeaders ? wordAt(text, sizeAt - 1, space) : sizeAt
        const body = hasHeaders ? from + numberIn(text, headersAt, sizeAt - 1) : from
        const subscriptionAt = text.indexOf(' ', text.indexOf(' ', at) + 1) + 1
        const replyAt = text.indexOf(' ', subscriptionAt) + 1
        const reply = replyAt < headersAt ? text.slice(replyAt, headersAt - 1) : ''
        const subscriber = this.#subscribers[numberIn(text, subscriptionAt, replyAt - 1)]
        subscriber?.(reply, text.slice(body, to), text.slice(from, body))
        at = to + 2
      } else {
        const line = text.slice(at, lineEnd)
        if (line.startsWith('-ERR')) throw new Error(line)
        if (line === 'PING') this.write('PONG\r\n')
        at = from
      }
    }
    this.#rest = text.slice(at)
  }
}

const space = 32
const dot = 46
const zero = 48
const upperH = 72
const upperM = 77

/** Where the word begins that ends there. Loops, because `split` and `lastIndexOf` leave the engine's compiled code. */
function wordAt(text: string, end: number, separator: number): number {
  let at = end
  while (at > 0 && text.charCodeAt(at - 1) !== separator) at--
  return at
}

function numberIn(text: string, from: number, to: number): number {
  let number = 0
  for (let at = from; at < to; at++) number = 10 * number + text.charCodeAt(at) - zero
  return number
}
