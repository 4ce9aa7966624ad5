/**
 * What became of a transfer. Sources name it in their own words, so it is read out of them in one place.
 *
 * A record that carries an `error_class` keeps it. Of others the class is read from `status` and `error`, by the first row of
 * the table that fits; what no row fits is `other`, and where nothing is said `not_told`.
 */

import type { TransferRecord } from './record.ts'

type Said = Pick<TransferRecord, 'status' | 'error' | 'error_class'>

const success = /^(success(ful(ly)?)?|succeeded|ok|done|completed?|finished|transferred|2\d\d)$/i
const failure = /^(fail(ed|ure|ing)?|error(ed)?|timed?[ _-]?out|abort(ed)?|cancell?ed|rejected|denied|lost|[45]\d\d)$/i

/** Whether it failed. A status that neither word list has is believed to be good unless an error stands beside it. */
export function isFailed({ status, error, error_class = '' }: Said): boolean {
  const said = status.trim()
  if (failure.test(said)) return true
  if (success.test(said)) return false
  return error.trim() !== '' || error_class.trim() !== ''
}

/** A longer one is no class, it is a text. */
const classCharsMax = 64

/** Most specific first: a text such as `HTTP 403: no such bucket` is what its earlier row says. */
const table: readonly (readonly [errorClass: string, pattern: RegExp, example: string])[] = [
  ['cancelled', /\bcancell?ed\b|\babort(ed)?\b|\binterrupted\b|\bkilled\b/i, 'cancelled by the user'],
  ['checksum_mismatch', /checksum|\bhash(es)? (differ|mismatch)|\bcrc\b|corrupt|\bmd5\b|adler/i, 'md5 differs'],
  [
    'no_space',
    /no space|\benospc\b|disk (is )?full|quota|insufficient (disk )?(space|storage)|\b507\b/i,
    'quota exceeded',
  ],
  ['timeout', /tim(ed|e)?[ _-]?out|deadline exceeded|\betimedout\b|no data for|\b(408|504)\b/i, 'read: i/o timeout'],
  ['rate_limited', /too many requests|rate[ _-]?limit|slow ?down|throttl|\b429\b/i, '429 Too Many Requests'],
  ['certificate', /certificate|x509|\btls\b|\bssl\b/i, 'x509: certificate has expired'],
  [
    'authentication',
    /unauthori[sz]ed|authenticat|credential|login (failed|incorrect)|token|proxy has expired|\b401\b/i,
    'token has expired',
  ],
  [
    'permission_denied',
    /permission denied|access (is )?denied|not permitted|forbidden|\beacces\b|\beperm\b|\b403\b/i,
    'Access Denied',
  ],
  [
    'name_not_resolved',
    /no such host|name or service not known|\benotfound\b|getaddrinfo|could not resolve|\bdns\b/i,
    'no such host',
  ],
  ['unreachable', /no route|unreachable|\behostunreach\b|\benetunreach\b/i, 'no route to host'],
  ['connection_refused', /connection refused|\beconnrefused\b/i, 'connect: connection refused'],
  [
    'connection_reset',
    /connection (was )?(reset|closed|lost|aborted)|\beconnreset\b|broken pipe|\bepipe\b|unexpected eof|hung up/i,
    'write: broken pipe',
  ],
  [
    'source_missing',
    /no such file|\benoent\b|not found|does not exist|no such (object|key|bucket)|\b404\b/i,
    'stat: no such file',
  ],
  ['destination_exists', /already exists|\beexist\b|file exists/i, 'file exists'],
  [
    'server_error',
    /internal server error|bad gateway|service unavailable|\b(500|502|503)\b/i,
    '503 Service Unavailable',
  ],
]

/** The classes that texts are read as, each with a text that it is read from. */
export const errorClasses: readonly { readonly errorClass: string; readonly example: string }[] = table.map(
  ([errorClass, , example]) => ({ errorClass, example }),
)

/** The class of a failed transfer's error. */
export function errorClassOf({ status, error, error_class = '' }: Said): string {
  const given = error_class.trim()
  if (given !== '' && given.length <= classCharsMax) return given
  const said = `${given} ${error}`.trim()
  const found = table.find(([, pattern]) => pattern.test(said)) ?? table.find(([, pattern]) => pattern.test(status))
  return found?.[0] ?? (said === '' ? 'not_told' : 'other')
}

/** The class of a transfer that failed; `null`: it did not. */
export function failedAs(said: Said): string | null {
  return isFailed(said) ? errorClassOf(said) : null
}
