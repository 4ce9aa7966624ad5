/** What a handler is given, and the table of handlers that the contract asks for. */

import type { Bounds } from './keys/bounds.ts'
import type { Note } from './server/audit.ts'
import type { AnswerOf, BodyOf, Contract, Operation, ParamsOf, QueryOf } from './contract.ts'

export interface Call<Name extends Operation> {
  readonly params: ParamsOf<Name>
  readonly query: QueryOf<Name>
  readonly body: BodyOf<Name>
  /** Of a body of lines: the number of the line of each record, from 1. */
  readonly lines: readonly number[] | undefined
  /** When it came, in ms since 1970. */
  readonly nowMs: number
  /** What the key is bound to: a row whose `bounds` is `filtered` answers nothing else. */
  readonly bounds: Bounds
  /** The id of the key, or `user:` and a name. */
  readonly by: string
  /** Adds facts to the audit line of this request. Never a secret. */
  readonly note: Note
  /** Aborts when the client goes away or the process stops. */
  readonly signal: AbortSignal
}

/** The operations whose answer is an event stream: their handlers write to a sink. */
export type EventOperation = {
  [Name in Operation]: Contract[Name] extends { readonly events: true } ? Name : never
}[Operation]

/** @throws (the handler) Problem what the client is told */
export type Handler<Name extends Operation> = (call: Call<Name>) => Promise<AnswerOf<Name>>

export type Handlers<Names extends Operation = Exclude<Operation, EventOperation>> = {
  readonly [Name in Names]: Handler<Name>
}
