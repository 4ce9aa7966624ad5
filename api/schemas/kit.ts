/**
 * The words that the schemas are made of. Schemas are JSON Schema 2020-12, which OpenAPI 3.1 takes as it is; each with a
 * `$id` becomes a component of the OpenAPI file under that name. Units stand in the names (`power_w`, `age_s`).
 */

import type { TObjectOptions, TProperties, TSchema, TSchemaOptions } from 'typebox'
import { Type } from './type.ts'

/** An object that has these members and no others. */
export function closed<Members extends TProperties>(members: Members, options: TObjectOptions = {}) {
  return Type.Object(members, { additionalProperties: false, ...options })
}

/** `null` is always *not reported* or *not known*, never zero. */
export function nullable<Schema extends TSchema>(schema: Schema, options: TSchemaOptions = {}) {
  return Type.Union([schema, Type.Null()], options)
}

export const text = (description: string) => Type.String({ description })
export const count = (description: string) => Type.Integer({ minimum: 0, description })
export const time = (description: string) => Type.String({ format: 'date-time', description })
export const maybeNumber = (description: string) => nullable(Type.Number(), { description })
export const maybeTime = (description: string) => nullable(Type.String({ format: 'date-time' }), { description })
export const asOf = time('When the answer was made; ages count from here')
export const age = Type.Number({
  description: 'Seconds from the time of the value to `as_of`; below 0 when the source runs ahead',
})
export const maybeAge = maybeNumber('Seconds from the newest value to `as_of`')
export const stale = Type.Boolean({ description: 'Older than STALE_AFTER (90 s): what it says may no longer be so' })
export const labels = Type.Record(Type.String(), Type.String(), { description: 'Names and texts that the source gave' })
export const cursor = nullable(Type.String(), { description: 'The `cursor` of the next page; null: this was the last' })
export const truncated = Type.Boolean({ description: 'There is more: ask again as the fields beside this one say' })
