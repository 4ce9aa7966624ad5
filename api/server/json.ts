/** JSON bodies, looked at before they are parsed. */

import type { FastifyInstance } from 'fastify'
import { Problem } from '#wire/problems'

const [quote, backslash, openList, openObject, closeList, closeObject] = Buffer.from('"\\[{]}')

/**
 * Parses bodies of `application/json`. A member `__proto__` or `constructor` is one like any other, as it is in a line of NDJSON: the
 * contract refuses it where it does not belong, and as the name of a label it is kept. Nothing here assigns members by name.
 *
 * @param depthMax of objects and lists within each other. A body of brackets alone takes V8 a hundred times as long to parse as
 *   one of records of its size: a second for a MiB, in which nobody else is answered.
 */
export function addJsonParser(app: FastifyInstance, depthMax: number): void {
  const parse = app.getDefaultJsonParser('ignore', 'ignore')
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    if (isDeeper(body, depthMax)) {
      done(new Problem('bad_request', `the body nests objects and lists deeper than ${depthMax}`))
    } else void parse(request, body.toString(), done)
  })
}

/** Whether objects and lists stand deeper within each other. */
export function isDeeper(body: Buffer, depthMax: number): boolean {
  let depth = 0
  let inText = false
  for (let at = 0; at < body.length; at++) {
    const byte = body[at]
    if (inText) {
      if (byte === backslash) at++
      else if (byte === quote) inText = false
    } else if (byte === quote) inText = true
    else if (byte === openList || byte === openObject) {
      if (++depth > depthMax) return true
    } else if (byte === closeList || byte === closeObject) depth--
  }
  return false
}
