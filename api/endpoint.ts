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
  /**
   * How the row honours what a key is bound to. Left out, keys that are bound to anything are refused.
   *
   * - `filtered`: by `call.bounds`, in all that it answers and does (`StoreReader.within`, `Inventory.within`, `needRecord`);
   * - `topics`: it answers nothing but of the topic that `topic` names, and refuses keys that are bound to hosts or sites;
   * - `none`: there is nothing in it that belongs to a host, a site or a topic.
   *
   * Whatever stands here, a parameter `topic` is held to the topics of the key.
   */
  readonly bounds?: 'filtered' | 'topics' | 'none'
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
  /** Codes of problems that only this route has, beside `unauthorized`, `unknown_parameter` and the like. */
  readonly problems?: readonly string[]
}
