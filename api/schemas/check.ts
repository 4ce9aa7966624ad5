/** What fits a schema, and what is wrong with what does not. */

import type { Static, TSchema } from 'typebox'
// Not `typebox/compile`, which also loads what converts, repairs and invents values: 681 files instead of 235.
import { Compile, type Validator } from 'typebox/schema'

export interface Check<Value = unknown> {
  fits(given: unknown): given is Value
  flaws(given: unknown): ReturnType<Validator['Errors']>[1]
}

/** Compiled when it is first asked: of the schemas of all routes, a process needs few and none at its start. */
export function checkOf<Schema extends TSchema>(schema: Schema): Check<Static<Schema>> {
  let validator: Validator<Schema> | undefined
  const compiled = () => (validator ??= Compile(schema))
  return {
    fits: (given): given is Static<Schema> => compiled().Check(given),
    flaws: (given) => compiled().Errors(given)[1],
  }
}
