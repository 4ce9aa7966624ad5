/** The same work for many items, some at a time. */

/**
 * Runs the work for each item, in order, at most so many at a time.
 *
 * @returns the results in the order of the items; rejects with the first error, once what was begun has ended: after an
 *   error nothing more is begun
 */
export async function parallel<Item, Result>(
  items: readonly Item[],
  most: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  const errors: unknown[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length && errors.length === 0) {
      const at = next++
      try {
        results[at] = await work(items[at] as Item)
      } catch (error) {
        errors.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(most, items.length) }, worker))
  if (errors.length > 0) throw errors[0]
  return results
}
