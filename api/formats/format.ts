/** Which format an answer has, and how it may be compressed: by `format=`, else by `Accept` (RFC 9110, section 12.5.1). */

import { Problem } from '#wire/problems'
import type { Coding } from '../ask/shared.ts'

export const formats = ['json', 'csv', 'ndjson', 'parquet'] as const
export type Format = (typeof formats)[number]

export const mediaOfFormat: Readonly<Record<Format, string>> = {
  json: 'application/json',
  csv: 'text/csv',
  ndjson: 'application/x-ndjson',
  parquet: 'application/vnd.apache.parquet',
}

/**
 * The format that the client likes best; of equals the first of {@link formats}, so JSON where anything goes.
 *
 * @throws Problem `not_acceptable`
 */
export function formatOf(asked: Format | undefined, accept: string | undefined): Format {
  if (asked !== undefined) return asked
  if (accept === undefined || accept.trim() === '') return 'json'
  const ranges = accept.split(',').map(rangeOf)
  let best: { readonly format: Format; readonly quality: number } | undefined
  for (const format of formats) {
    const quality = qualityOf(mediaOfFormat[format], ranges)
    if (quality > (best?.quality ?? 0)) best = { format, quality }
  }
  if (best !== undefined) return best.format
  const media = Object.values(mediaOfFormat)
  throw new Problem('not_acceptable', `Accept: ${accept.slice(0, 100)}: want one of ${media.join(', ')}`, { media })
}

/**
 * How an answer that is there in both may be compressed, by `Accept-Encoding` (RFC 9110, section 12.5.3); of equals br, which is smaller.
 * What this leaves open (`*`, other codings) is for the compressor of all answers.
 */
export function codingOf(headers: Readonly<Record<string, string | string[] | undefined>>): Coding | undefined {
  const accepted = headers['accept-encoding']
  if (typeof accepted !== 'string' || headers['x-no-compression'] !== undefined) return undefined
  const ranges = accepted.split(',').map(rangeOf)
  const qualityFor = (coding: Coding) => ranges.find(({ media }) => media === coding)?.quality ?? 0
  const best = qualityFor('br') >= qualityFor('gzip') ? 'br' : 'gzip'
  return qualityFor(best) > 0 ? best : undefined
}

interface Range {
  readonly media: string
  readonly quality: number
}

function rangeOf(text: string): Range {
  const [media = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const given = parameters.find((parameter) => parameter.startsWith('q='))
  const quality = given === undefined ? 1 : Number(given.slice(2))
  return { media, quality: quality >= 0 && quality <= 1 ? quality : 0 }
}

/** What the exactest range says that fits. */
function qualityOf(media: string, ranges: readonly Range[]): number {
  const [type] = media.split('/')
  for (const exact of [media, `${type}/*`, '*/*']) {
    const found = ranges.find((range) => range.media === exact)
    if (found !== undefined) return found.quality
  }
  return 0
}
