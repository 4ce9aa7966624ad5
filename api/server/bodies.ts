/** What comes in, by its media type: JSON, records by line, forms, and text that nobody looks at here. */

import { isUtf8 } from 'node:buffer'
import type { FastifyInstance } from 'fastify'
import { Problem } from '#wire/problems'
import type { BodyKind, Endpoint } from '../endpoint.ts'
import { addJsonParser, isDeeper } from './json.ts'

/** Records of NDJSON. */
export class Lines {
  readonly values: readonly unknown[]
  /** The number of the line of each, from 1: empty ones are counted and hold none. */
  readonly lines: readonly number[]

  constructor(values: readonly unknown[], lines: readonly number[]) {
    this.values = values
    this.lines = lines
  }
}

/** Media types as they stand in OpenAPI and in refusals. */
export const mediaOf: Readonly<Record<BodyKind, string>> = {
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  lines: 'text/plain',
  form: 'application/x-www-form-urlencoded',
}

/** The kinds of bodies of a row; none where it takes none. */
export function bodiesOf({ body, bodies = ['json'] }: Endpoint): readonly BodyKind[] {
  return body === undefined ? [] : bodies
}

/** Lets the routes of a scope take these kinds of bodies, and no others. */
export function takeBodies(scope: FastifyInstance, kinds: readonly BodyKind[], depthMax: number): void {
  scope.removeAllContentTypeParsers()
  for (const kind of kinds) {
    if (kind === 'json') addJsonParser(scope, depthMax)
    else if (kind === 'lines') {
      // Whatever they call it: `curl --data-binary`, as InfluxDB's manual has it, says that it is a form.
      scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body))
    } else {
      const parse = kind === 'ndjson' ? (body: Buffer) => linesOf(body, depthMax) : formOf
      scope.addContentTypeParser(mediaOf[kind], { parseAs: 'buffer' }, (_, body, done) => {
        try {
          done(null, parse(body as Buffer))
        } catch (error) {
          done(error as Error)
        }
      })
    }
  }
}

/** @throws Problem `bad_record` that names the line */
export function linesOf(body: Buffer, depthMax = Infinity): Lines {
  const values: unknown[] = []
  const lines: number[] = []
  let line = 0
  for (let at = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0; at < body.length;) {
    // On byte 10 only: U+2028 is legal inside JSON.
    const found = body.indexOf(10, at)
    const end = found === -1 ? body.length : found
    const bytes = body.subarray(at, end)
    at = end + 1
    line++
    if (!isUtf8(bytes)) throw new Problem('bad_record', `line ${line}: it is not UTF-8`, { line })
    if (isDeeper(bytes, depthMax)) {
      throw new Problem('bad_record', `line ${line}: it nests objects and lists deeper than ${depthMax}`, { line })
    }
    const text = bytes.toString()
    if (text.trim() === '') continue
    try {
      values.push(JSON.parse(text))
    } catch (error) {
      throw new Problem('bad_record', `line ${line}: it is no JSON: ${(error as Error).message}`, { line })
    }
    lines.push(line)
  }
  return new Lines(values, lines)
}

function formOf(body: Buffer): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(body.toString()))
}
