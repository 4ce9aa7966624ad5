/** How an answer goes out: in its format, with its tag, and with what the other formats have no member for. */

import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { jsonOf, packedOf, packNow, valueOf } from '../ask/shared.ts'
import type { Endpoint } from '../endpoint.ts'
import { csvOf } from './csv.ts'
import { codingOf, type Format, mediaOfFormat } from './format.ts'
import { ndjsonOf } from './ndjson.ts'
import { type Table, tableOf } from './table.ts'

type Members = Readonly<Record<string, unknown>>

/** What the answers that are no JSON say of themselves; pages of other hosts may read them. */
export const answerHeaders = ['etag', 'link', 'penstock-as-of', 'penstock-cursor', 'penstock-truncated']

export function sendAnswer(
  request: FastifyRequest,
  reply: FastifyReply,
  row: Endpoint,
  format: Format,
  answer: unknown,
): FastifyReply | Promise<FastifyReply> {
  if (row.empty === true) return reply.code(204).send()
  // Beside what others have said already, such as Origin.
  if (row.rows !== undefined) reply.header('vary', [reply.getHeader('vary') ?? [], 'accept'].flat().join(', '))
  void reply.type(row.media ?? (format === 'csv' ? 'text/csv; charset=utf-8; header=present' : mediaOfFormat[format]))
  if (format === 'json' || row.rows === undefined) {
    const text = typeof answer === 'string' ? answer : jsonOf(answer)
    if (row.etag === true) return sendTagged(request, reply, String(text))
    const coding = codingOf(request.headers)
    if (coding === undefined) return reply.send(text)
    const packed = packNow(text, coding)
    if (packed !== undefined) return sendPacked(reply, coding, packed)
    return packedOf(answer, coding)?.then((bytes) => sendPacked(reply, coding, bytes)) ?? reply.send(text)
  }
  const members = valueOf(answer) as Members
  const table = tableOf(row.answer, row.rows, members)
  tellRest(request, reply, members)
  if (format === 'parquet') return sendParquet(reply, table)
  const pieces = format === 'csv' ? csvOf(table) : ndjsonOf(table)
  if (row.etag === true) return sendTagged(request, reply, [...pieces].join(''))
  return reply.send(Readable.from(pieces))
}

/** What is compressed already passes the compressor by. */
function sendPacked(reply: FastifyReply, coding: string, bytes: Buffer): FastifyReply {
  const vary = [reply.getHeader('vary') ?? [], 'accept-encoding'].flat().join(', ')
  return reply.header('vary', vary).header('content-encoding', coding).send(bytes)
}

/** Its writer is loaded when it is first wanted: 51 files, which most processes never need. */
async function sendParquet(reply: FastifyReply, table: Table): Promise<FastifyReply> {
  const { parquetOf } = await import('./parquet.ts')
  return reply.send(parquetOf(table))
}

/** Answers 304, when the client has this text already. The tag is a weak one: the bytes may come compressed, or not. */
export function sendTagged(request: FastifyRequest, reply: FastifyReply, text: string): FastifyReply {
  const tag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"`
  void reply.header('etag', `W/${tag}`).header('cache-control', 'private, no-cache')
  const given = request.headers['if-none-match']?.split(',').map((one) => one.trim().replace(/^W\//, '')) ?? []
  if (given.includes(tag) || given.includes('*')) return reply.code(304).send()
  return reply.serializer((payload: unknown) => payload as string).send(text)
}

/** Never a silent truncation: what JSON says beside its list stands in headers. */
function tellRest(request: FastifyRequest, reply: FastifyReply, { as_of, truncated, cursor }: Members): void {
  if (typeof as_of === 'string') void reply.header('penstock-as-of', as_of)
  if (typeof truncated === 'boolean') void reply.header('penstock-truncated', String(truncated))
  if (typeof cursor !== 'string') return
  const next = new URL(request.url, 'http://api')
  next.searchParams.set('cursor', cursor)
  void reply.header('penstock-cursor', cursor).header('link', `<${next.pathname}${next.search}>; rel="next"`)
}
