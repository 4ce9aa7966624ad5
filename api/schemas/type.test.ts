import { test } from 'tap'
import { type TSchema, Type as TypeBox } from 'typebox'
import { Type } from './type.ts'

/** The same schema, said with the words of either. */
const schemas: Readonly<Record<string, (words: typeof Type) => TSchema>> = {
  Array: (words) => words.Array(words.String(), { maxItems: 3, description: 'some' }),
  Boolean: (words) => words.Boolean({ description: 'whether' }),
  Enum: (words) => words.Enum(['a', 'b'], { default: 'a' }),
  Integer: (words) => words.Integer({ minimum: 1, maximum: 9 }),
  Literal: (words) => words.Union([words.Literal('a'), words.Literal(1), words.Literal(true)]),
  Null: (words) => words.Null(),
  Number: (words) => words.Number({ $id: 'Watts' }),
  Object: (words) =>
    words.Object(
      { a: words.String(), b: words.Optional(words.Integer({ minimum: 0 })), c: words.Object({}) },
      { additionalProperties: false, $id: 'Thing' },
    ),
  Optional: (words) => words.Object({ all: words.Optional(words.Object({ inner: words.Optional(words.Null()) })) }),
  Record: (words) => words.Record(words.String(), words.Number(), { description: 'by name' }),
  String: (words) => words.String({ format: 'date-time' }),
  Undefined: (words) => words.Undefined(),
  Union: (words) => words.Union([words.Null(), words.Array(words.String())], { description: 'several' }),
  Unsafe: (words) => words.Unsafe<Uint8Array>(words.String()),
}

test('each word says what the one of TypeBox says, and TypeBox reads what it marks', (t) => {
  t.same(Object.keys(schemas).sort(), Object.keys(Type).sort(), 'all of them are tried')
  for (const [name, say] of Object.entries(schemas)) {
    t.equal(JSON.stringify(say(Type)), JSON.stringify(say(TypeBox)), name)
  }
  const mixed = { a: Type.Optional(Type.String()), b: Type.String() }
  t.same(TypeBox.Object(mixed).required, ['b'])
  t.same(Type.Object({ a: TypeBox.Optional(TypeBox.String()), b: TypeBox.String() }).required, ['b'])
  t.end()
})
