/**
 * Every refusal that crosses the wire, in one table: `application/problem+json` (RFC 9457) with a stable `code`.
 *
 * A core returns a code; a route throws it as a {@link Problem}; `lib/http` writes it; the client reads it and knows from
 * `retry` whether the same request may succeed later.
 */

/** What one code means. `hint` says what would be right, for people. */
export interface ProblemKind {
  readonly status: number
  /** Whether the same request, unchanged, may succeed later. */
  readonly retry: boolean
  readonly title: string
  readonly hint: string
}

function kind(status: number, retry: boolean, title: string, hint: string): ProblemKind {
  return { status, retry, title, hint }
}

/** The codes. Adding one is compatible; changing or removing one is not (docs/COMPATIBILITY.md). */
export const problems = {
  // The request as such.
  bad_request: kind(400, false, 'The request cannot be read', 'see detail'),
  unauthorized: kind(401, false, 'No valid token', 'send Authorization: Bearer with the SERVICE_TOKEN or an API key'),
  forbidden: kind(403, false, 'Not allowed', 'see detail'),
  certificate_needed: kind(403, false, 'No known client certificate', 'connect with one that TLS_CLIENT_CA has signed'),
  not_found: kind(404, false, 'No such path', 'docs/PROTOCOL.md lists the paths'),
  method_not_allowed: kind(405, false, 'The path does not take this method', 'use a method of the Allow header'),
  not_acceptable: kind(406, false, 'No format of the answer is one that Accept names', 'see detail'),
  unsupported_type: kind(415, false, 'The body is of a type that this path does not take', 'see detail'),
  body_too_large: kind(413, false, 'The body is over the limit', 'send smaller batches'),
  headers_too_large: kind(431, false, 'The request headers are over the limit', 'send fewer or shorter headers'),
  request_timeout: kind(408, true, 'The request did not arrive in time', 'send it again'),
  missing_parameter: kind(400, false, 'A query parameter is missing', 'see detail'),
  unknown_parameter: kind(400, false, 'A query parameter is not known', 'see detail'),
  bad_parameter: kind(400, false, 'A query parameter has a wrong value', 'see detail'),
  too_much: kind(400, false, 'The question is over a bound', 'ask for less: see bound, limit and detail'),
  // Topics and records.
  bad_name: kind(400, false, 'Not a name', '1 to 128 of A-Z a-z 0-9 . _ - not starting with a dot'),
  unknown_topic: kind(404, false, 'No such topic', 'GET /topics lists them; TOPICS or PUT /topics/T makes one'),
  unknown_partition: kind(404, false, 'No such partition', 'GET /topics tells how many a topic has'),
  unknown_group: kind(404, false, 'No such group', 'the first GET /consume with the group makes it'),
  bad_option: kind(400, false, 'An option of the topic is wrong', 'see detail; nothing was changed'),
  topic_differs: kind(409, false, 'The topic is there, with other options', 'PATCH /topics/T changes them'),
  dead_topic: kind(403, false, 'Dead letters are written by POST /dead', 'produce to the topic itself'),
  bad_record: kind(
    400,
    false,
    'A record of the batch is refused, and so the whole batch',
    'see detail; nothing was written',
  ),
  binary_record: kind(415, false, 'A record is not UTF-8 text', 'encode binary as base64; nothing was written'),
  record_too_large: kind(413, false, 'A record is over the limit', 'see detail; nothing was written'),
  empty_batch: kind(400, false, 'The body holds no record', 'send at least one non-empty line'),
  partition_full: kind(
    429,
    true,
    'The partition is at its limit',
    'consumers are behind; retry after the given seconds',
  ),
  disk_full: kind(
    507,
    true,
    'The disk of the broker is full',
    'consume and acknowledge, or give the broker a larger volume',
  ),
  memory_full: kind(
    429,
    true,
    'The memory of the broker is full of records that wait for the disk',
    'retry after the given seconds; MEMORY_BYTES sets its size',
  ),
  not_writable: kind(503, true, 'The broker cannot write now', 'retry after the given seconds'),
  starting: kind(503, true, 'Not ready yet', 'see detail; retry after the given seconds'),
  stopping: kind(503, true, 'The process is stopping', 'retry; another one answers'),
  draining: kind(503, true, 'The broker is being emptied', 'produce by the proxy, which knows another broker'),
  // Idempotent produce.
  bad_sequence: kind(400, false, 'The producer headers do not fit', 'send Producer-Id and Producer-Sequence together'),
  sequence_overlap: kind(
    409,
    false,
    'Part of the batch was already written',
    'drop the records before `expected` and send the rest',
  ),
  // Consume and acknowledge.
  cursor_needed: kind(400, false, 'The stream has several logs', 'name one id a log: from=0/0/17,0/1/4'),
  mode_mismatch: kind(409, false, 'The group has another mode', 'use the mode of the group, or another group'),
  group_in_use: kind(409, false, 'Consumers of the group are connected', 'stop them first'),
  not_delivered: kind(409, false, 'The record is not in flight', 'acknowledge only what this group was given'),
  lease_lost: kind(409, false, 'The lease has moved on', 'the record is delivered again; do not acknowledge it now'),
  replaced: kind(409, false, 'A new connection of the same consumer came', 'give each consumer a name of its own'),
  wrong_broker: kind(
    409,
    false,
    'The id belongs to another broker',
    'send it to the broker that its first number names, or to the proxy',
  ),
  // The API.
  unknown_gpu: kind(404, false, 'No such GPU', 'GET /api/v1/gpus lists them; an id is a uuid, host:gpu or a device_id'),
  ambiguous_gpu: kind(409, false, 'The id fits several GPUs', 'use the id of one of the candidates'),
  unknown_metric: kind(404, false, 'No such metric', 'GET /api/v1/metrics lists the catalogue'),
  unknown_key: kind(404, false, 'No such key', 'GET /api/v1/keys lists them by their id'),
  key_ended: kind(409, false, 'The key works no more', 'make another one'),
  too_many_connections: kind(429, true, 'Too many connections', 'retry after the given seconds, on fewer connections'),
  rate_limited: kind(429, true, 'Too many requests', 'retry after the given seconds'),
  overloaded: kind(503, true, 'More is asked than can be answered', 'retry after the given seconds; see detail'),
  // What went wrong on our side.
  unavailable: kind(503, true, 'A part behind this one does not answer', 'retry after the given seconds'),
  internal: kind(500, true, 'An error of ours', 'see the log of the process under the request id'),
} as const satisfies Record<string, ProblemKind>

export type ProblemCode = keyof typeof problems

/** What a status says by itself. Gateways refuse in their own words, and it must stay known what may be tried again. */
const codeOfStatus: Readonly<Record<number, ProblemCode>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  406: 'not_acceptable',
  408: 'request_timeout',
  413: 'body_too_large',
  415: 'unsupported_type',
  425: 'unavailable',
  429: 'rate_limited',
  431: 'headers_too_large',
  500: 'internal',
}

/** The body of a refusal. */
export interface ProblemBody {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly hint: string
  /** Whatever the code adds: `line`, `expected`, `limit_bytes`, `retry_after_s` … */
  readonly [extra: string]: unknown
}

/** A refusal, thrown by a route and by the client that received it. */
export class Problem extends Error {
  readonly code: ProblemCode
  readonly extra: Readonly<Record<string, unknown>>

  /**
   * @param detail what was wrong with this very request, and what would be right
   * @param extra further members of the body, such as `line` or `expected`
   */
  constructor(code: ProblemCode, detail: string, extra: Readonly<Record<string, unknown>> = {}) {
    super(`${code}: ${detail}`)
    this.name = 'Problem'
    this.code = code
    this.extra = extra
  }

  get status(): number {
    return problems[this.code].status
  }

  get retry(): boolean {
    return problems[this.code].retry
  }

  /** The body as it goes over the wire. */
  toJSON(): ProblemBody {
    const { status, title, hint } = problems[this.code]
    const detail = this.message.slice(this.code.length + 2)
    const own = { type: `urn:penstock:problem:${this.code}`, title, status, code: this.code, detail, hint }
    // Twice: the standard members stand first, and no extra one can take their place.
    return { ...own, ...this.extra, ...own }
  }

  /** Reads a body that {@link toJSON} wrote. A code of a newer version, or no body of ours, is known by its status. */
  static fromBody(status: number, body: unknown): Problem {
    const given = typeof body === 'object' && body !== null ? (body as Record<string, unknown>) : {}
    const { type: _, title: __, status: ___, hint: ____, code, detail, ...extra } = given
    const known = typeof code === 'string' && Object.hasOwn(problems, code)
    const fallback = codeOfStatus[status] ?? (status >= 500 ? 'unavailable' : 'bad_request')
    const text = typeof detail === 'string' ? detail : `the server answered ${status}`
    return new Problem(known ? (code as ProblemCode) : fallback, text, extra)
  }
}
