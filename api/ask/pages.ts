/** A page of a list that is there as a whole: what follows a cursor, in the order of a key that each item has. */

import { bad } from './parameters.ts'

/** Compared member by member: numbers as numbers, texts by their characters. */
export type Key = readonly (string | number)[]

export interface Page<Item> {
  readonly items: Item[]
  readonly truncated: boolean
  /** Hands the next page out; null: there is none. */
  readonly cursor: string | null
}

/**
 * Keyset paging: the cursor holds the key of the last item, so that what comes and goes between two pages moves nothing.
 *
 * @throws Problem `bad_parameter`, where the cursor is none of this list
 */
export function pageOf<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => Key,
  { limit, cursor }: { readonly limit: number; readonly cursor: string | undefined },
): Page<Item> {
  if (cursor === undefined && items.length <= limit) return { items: [...items], truncated: false, cursor: null }
  const keyed = items.map((item) => ({ item, key: keyOf(item) })).sort((a, b) => compareKeys(a.key, b.key))
  const after = cursor === undefined ? undefined : readKey(cursor, keyed[0]?.key)
  const rest = after === undefined ? keyed : keyed.filter(({ key }) => compareKeys(key, after) > 0)
  const page = rest.slice(0, limit)
  const last = page.at(-1)
  const truncated = rest.length > limit
  return {
    items: page.map(({ item }) => item),
    truncated,
    cursor: truncated && last !== undefined ? Buffer.from(JSON.stringify(last.key)).toString('base64url') : null,
  }
}

function compareKeys(a: Key, b: Key): number {
  for (const [index, one] of a.entries()) {
    const other = b[index] as string | number
    if (one !== other) return one < other ? -1 : 1
  }
  return 0
}

/** @param like a key of the list, to tell the cursor of another list */
function readKey(cursor: string, like: Key | undefined): Key {
  let key: unknown
  try {
    key = JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    key = undefined
  }
  const isKey =
    Array.isArray(key) &&
    key.every((member) => typeof member === 'string' || typeof member === 'number') &&
    (like === undefined ||
      (key.length === like.length && like.every((member, index) => typeof member === typeof (key as Key)[index])))
  if (!isKey) throw bad('cursor', 'cursor: want one of an answer before')
  return key as Key
}
