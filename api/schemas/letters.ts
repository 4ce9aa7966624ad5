/** Dead letters, and what becomes of them. */

import { lettersDealtMax } from '#wire/letters'
import { closed, count, nullable, text, time } from './kit.ts'
import { Type } from './type.ts'

const id = text('`<broker>/<partition>/<offset>`')

export const letter = Type.Object(
  {
    id,
    time: time('When it was written'),
    reason: text('What is wrong, and what would be right'),
    row: Type.Optional(text('The record, or the row of the file')),
    file: Type.Optional(text('Where a row came from')),
    line: Type.Optional(Type.Integer({ description: 'Its line there' })),
    origin: Type.Optional(text('The id of the record in its topic')),
    group: Type.Optional(text('Who gave it up')),
    attempts: Type.Optional(Type.Integer({ description: 'How often it was delivered' })),
  },
  { $id: 'Letter', description: 'May have further members, as whoever wrote it gave them' },
)

export const letterList = closed(
  {
    topic: text('Whose letters they are'),
    open: count('All that nobody has dealt with'),
    letters: Type.Array(letter),
    next: nullable(Type.String(), { description: '`after` for the next page; null: there is none' }),
  },
  { $id: 'LetterList' },
)

export const letterChoice = closed(
  {
    ids: Type.Optional(Type.Array(Type.String(), { maxItems: lettersDealtMax, description: 'These letters' })),
    all: Type.Optional(
      Type.Boolean({ description: `Or all of them, ${lettersDealtMax.toLocaleString('en')} at most` }),
    ),
  },
  { $id: 'LetterChoice' },
)

const rest = {
  kept: Type.Array(closed({ id, why: text('Why it cannot be sent again') })),
  unknown: count('Ids that are of no open letter'),
  open: count('What is left'),
}

export const lettersRetried = closed({ retried: count('Records sent again'), ...rest }, { $id: 'LettersRetried' })
export const lettersDropped = closed({ dropped: count('Letters put away'), ...rest }, { $id: 'LettersDropped' })
