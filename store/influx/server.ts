/** An InfluxDB of which the version is known: writes lines, answers queries. */

import { bodiesOf, bodyBytesMax, linesMax, precisionOf } from './bodies.ts'
import { type Access, detect, type Dialect, dialectOf, type Version } from './dialect.ts'
import { type Http, parameters } from './http.ts'
import { Answer, type Series } from './influxql.ts'
import { StoreError } from '../errors.ts'
import type { Row } from './rows.ts'

/** Characters a request, for lines that are long: a server takes 25 MB. */
const charsMax = 4 * 1024 * 1024
/** Requests at once for one write. */
const parallelMax = 2
/** Rows of a series in one piece of an answer. */
const chunkRows = 10_000

export class Server {
  readonly http: Http
  readonly dialect: Dialect
  /** Such as `2.9.1`, or `2` where it was not asked. */
  readonly release: string
  /** Where bodies were made, and others will be. */
  readonly #memory: Buffer<ArrayBuffer>[] = []

  /** @param forced its version, where it is not asked */
  static async meet(http: Http, access: Access, forced: Version | undefined): Promise<Server> {
    const { version, release } =
      forced === undefined ? await detect(http, access) : { version: forced, release: String(forced) }
    return new Server(http, dialectOf(version, access), release)
  }

  private constructor(http: Http, dialect: Dialect, release: string) {
    this.http = http
    this.dialect = dialect
    this.release = release
  }

  /**
   * Writes lines; when it resolves, all of them are written. When it rejects, some may be.
   *
   * @throws StoreError; `refused` with the server's reason where it does not take some of them
   */
  async write(database: string, lines: readonly string[]): Promise<void> {
    await this.#send(this.dialect.writePath(database, 'ns'), chunksOf(lines))
  }

  /** Writes points, as {@link write} writes lines. */
  async writeRows(database: string, rows: readonly Row[]): Promise<void> {
    const precision = precisionOf(rows)
    const bodies = bodiesOf(rows, precision, () => this.#memory.pop() ?? Buffer.allocUnsafeSlow(bodyBytesMax))
    // One that failed may still be on its way, so its memory does not serve again.
    await this.#send(this.dialect.writePath(database, precision), bodies, ({ buffer }) => {
      this.#memory.push(Buffer.from(buffer))
    })
  }

  /** @param sent told of each body that the server has taken */
  async #send<Body extends string | Uint8Array>(
    path: string,
    bodies: Generator<Body, void>,
    sent?: (body: Body) => void,
  ): Promise<void> {
    const headers = { ...this.dialect.headers, 'content-type': 'text/plain; charset=utf-8' }
    const next = async (): Promise<void> => {
      for (let body = bodies.next(); body.done !== true; body = bodies.next()) {
        await this.http.send({ method: 'POST', path, headers, body: body.value })
        sent?.(body.value)
      }
    }
    const ends = await Promise.allSettled(Array.from({ length: parallelMax }, next))
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  }

  /**
   * The series that each of the statements answers with.
   *
   * @throws StoreError
   */
  async query(database: string, statements: readonly string[]): Promise<Series[][]> {
    if (statements.length === 0) return []
    const path = `/query?${parameters({ db: database, chunked: 'true', chunk_size: String(chunkRows) })}`
    const pieces = this.http.pieces({
      method: 'POST',
      path,
      headers: { ...this.dialect.headers, 'content-type': 'application/x-www-form-urlencoded' },
      body: parameters({ q: statements.join('; ') }),
    })
    const answer = new Answer()
    for await (const piece of pieces) answer.feed(piece)
    const series = answer.end(statements.length)
    if (answer.error === undefined) return series
    const isMissing = /database not found|bucket .*not found/i.test(answer.error)
    throw new StoreError(isMissing ? 'denied' : 'away', `${this.http.where}: ${answer.error}`)
  }
}

function* chunksOf(lines: readonly string[]): Generator<string, void> {
  let from = 0
  let chars = 0
  for (let index = 0; index < lines.length; index++) {
    const { length } = lines[index] as string
    if (index > from && (index - from >= linesMax || chars + length > charsMax)) {
      yield lines.slice(from, index).join('\n')
      from = index
      chars = 0
    }
    chars += length
  }
  if (from < lines.length) yield lines.slice(from).join('\n')
}
