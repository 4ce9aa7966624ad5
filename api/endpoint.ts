/** A row of the contract. */

import type { TObject, TSchema } from 'typebox'

/** What a key may do. `admin` includes the others. */
export type Scope = 'read' | 'produce' | 'consume' | 'admin'

export interface Endpoint {
  readonly method: 'GET' | 'POST'
  /** With parameters in braces. */
  readonly path: string
  /** Other paths of the same thing. */
  readonly also?: readonly string[]
  readonly scope: Scope
  /** One line. */
  readonly summary: string
  readonly description?: string
  readonly params?: TObject
  /** Members it does not name are refused, with the nearest name. */
  readonly query?: TObject
  readonly body?: TSchema
  readonly answer: TSchema
  /** The answer is an endless event stream, and `answer` is the data of its events. */
  readonly events?: true
  /** Of an answer that is a text; left out: JSON. */
  readonly media?: string
  /** Codes of problems that only this route has, beside `unauthorized`, `unknown_parameter` and the like. */
  readonly problems?: readonly string[]
}
