/** Finds columns by the names that exporters and people give them. */

/** `null`: the column may be absent. Names are compared in lower case; the first that is there wins. */
export type ColumnTable = Readonly<Record<string, { readonly names: readonly string[]; readonly must?: boolean }>>

export type Columns<T extends ColumnTable> = { readonly [K in keyof T]: number | undefined } & {
  /** Columns that the table does not name, with their names as they stand. */
  readonly others: readonly { readonly name: string; readonly at: number }[]
}

export function findColumns<T extends ColumnTable>(
  header: readonly string[],
  table: T,
): Columns<T> | { readonly missing: readonly string[] } {
  const positions = new Map<string, number>()
  for (const [at, name] of header.entries()) {
    const known = name.trim().toLowerCase()
    if (!positions.has(known)) positions.set(known, at)
  }
  const found: Record<string, number | undefined> = {}
  const missing: string[] = []
  const used = new Set<number>()
  for (const [column, { names, must }] of Object.entries(table)) {
    for (const name of names) {
      const at = positions.get(name)
      if (at === undefined) continue
      found[column] ??= at
      used.add(at)
    }
    if (must === true && found[column] === undefined) missing.push(names[0] as string)
  }
  if (missing.length > 0) return { missing }
  const others = header.flatMap((name, at) => (used.has(at) || name.trim() === '' ? [] : [{ name: name.trim(), at }]))
  return { ...found, others } as Columns<T>
}
