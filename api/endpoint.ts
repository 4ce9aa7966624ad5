/** A row of the contract. */

import type { TObject, TSchema } from 'typebox'

/** What a key may do. `admin` includes the others. */
export type Scope = 'read' | 'produce' | 'consume' | 'admin'

/** What a body may be: its media type says which; `lines` takes any. */
export type BodyKind = 'json' | 'ndjson' | 'lines' | 'form'

/** How an answer becomes a table, for CSV, NDJSON and Parquet. */
export interface RowsOf {
  /** The member of the answer that is the list. */
  readonly of: string
  /** A list within each item, whose entries become the rows, each with the columns of its item. */
  readonly each?: string
  /** Members of the answer that every row repeats. */
  readonly with?: readonly string[]
  /** Names of the columns, where not all of them are wanted, in their order. */
  readonly columns?: readonly string[]
}

export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'PUT'
  /** With parameters in braces. */
  readonly path: string
  /** Other paths of the same thing. */
  readonly also?: readonly string[]
  readonly scope: Scope
  /**
   * How the row honours what a key is bound to. Left out, keys that are bound to anything are refused.
   *
   * - `filtered`: by `call.bounds`, in all that it answers and does (`StoreReader.within`, `Inventory.within`, `needRecord`);
   * - `topics`: it answers nothing but of topics, by `seesTopic` or `needTopic`, and refuses keys that are bound to hosts or sites;
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
  /** What the body may be; `json` alone unless told. A list in NDJSON is a record a line. */
  readonly bodies?: readonly BodyKind[]
  /** As it is read, so inflated where it came compressed; 1 MiB unless told. */
  readonly bodyBytesMax?: number
  readonly answer: TSchema
  /** The answer is 204, and has no body. */
  readonly empty?: true
  /** The answer is a list, which may be had in other formats than JSON. */
  readonly rows?: RowsOf
  /** The answer changes so seldom that clients should ask whether it has. It must hold no time of its own. */
  readonly etag?: true
  /** For clients of InfluxDB, of this version: they carry keys and read refusals in ways of their own. */
  readonly influx?: 'v1' | 'v2'
  /** It asks the store: while that has more to answer than it can, it may be refused (`overloaded`). */
  readonly queued?: true
  /** The answer is an endless event stream, and `answer` is the data of its events. */
  readonly events?: true
  /** Of an answer that is a text; left out: JSON. */
  readonly media?: string
  /** Codes of problems that only this route has, beside `unauthorized`, `unknown_parameter` and the like. */
  readonly problems?: readonly string[]
}
