/**
 * The words of TypeBox that the schemas are made of, with TypeBox's types, and without loading it: a word of it is an object of
 * JSON Schema, and its package brings 373 files, a quarter of all that `penstock api` loaded and three quarters of what
 * `penstock query` did. `type.test.ts` holds each to TypeBox's own.
 */

import type { TProperties, TSchema, Type as TypeBox } from 'typebox'

/** How TypeBox marks, out of sight of JSON, what an object may lack. */
const optionalMark = '~optional'

type Words = Pick<
  typeof TypeBox,
  | 'Array'
  | 'Boolean'
  | 'Enum'
  | 'Integer'
  | 'Literal'
  | 'Null'
  | 'Number'
  | 'Object'
  | 'Optional'
  | 'Record'
  | 'String'
  | 'Undefined'
  | 'Union'
  | 'Unsafe'
>

const word = (type: string) => (options?: object) => ({ type, ...options })

const words: { readonly [Name in keyof Words]: (...given: never[]) => unknown } = {
  Array: (items: TSchema, options?: object) => ({ type: 'array', items, ...options }),
  Boolean: word('boolean'),
  Enum: (values: readonly unknown[], options?: object) => ({ enum: values, ...options }),
  Integer: word('integer'),
  Literal: (value: unknown, options?: object) => ({ type: typeof value, const: value, ...options }),
  Null: word('null'),
  Number: word('number'),
  Object(properties: TProperties, options?: object) {
    const required = Object.keys(properties).filter((name) => !(optionalMark in (properties[name] as TSchema)))
    return { type: 'object', ...(required.length === 0 ? {} : { required }), properties, ...options }
  },
  Optional: (schema: TSchema) => Object.defineProperty({ ...schema }, optionalMark, { value: true }),
  /** By names of any text. */
  Record: (_: TSchema, value: TSchema, options?: object) => ({
    type: 'object',
    patternProperties: { '^.*$': value },
    ...options,
  }),
  String: word('string'),
  Undefined: word('undefined'),
  Union: (anyOf: readonly TSchema[], options?: object) => ({ anyOf, ...options }),
  Unsafe: (schema: TSchema) => schema,
}

export const Type = words as Words
