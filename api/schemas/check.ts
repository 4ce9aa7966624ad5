/** What fits a schema, and what is wrong with what does not. */

import { createRequire } from 'node:module'
import type { Static, TSchema } from 'typebox'
import type { Compile, Validator } from 'typebox/schema'

// Loaded with the first check, by `require`, because checks do not wait: 235 files, 0.35 s of the processor time of a start.
// `typebox/compile` would also load what converts, repairs and invents values: 681 files.
const require = createRequire(import.meta.url)
let compiler = () => require('typebox/schema') as { readonly Compile: typeof Compile }

/** Loads it before the first check, with turns for others between its files. */
export async function loadCompiler(): Promise<void> {
  const loaded = await import('typebox/schema')
  compiler = () => loaded
}

export interface Check<Value = unknown> {
  fits(given: unknown): given is Value
  flaws(given: unknown): ReturnType<Validator['Errors']>[1]
}

/** Compiled when it is first asked: of the schemas of all routes, a process needs few and none at its start. */
export function checkOf<Schema extends TSchema>(schema: Schema): Check<Static<Schema>> {
  let validator: Validator<Schema> | undefined
  const compiled = () => (validator ??= compiler().Compile(schema))
  return {
    fits: (given): given is Static<Schema> => compiled().Check(given),
    flaws: (given) => compiled().Errors(given)[1],
  }
}
