/**
 * Lets pieces of work that share something go one after the other, in the order in which they asked; others go beside them.
 * Each asks for all that it needs at once and waits only for those who asked before it, so nobody waits in a circle.
 */
export class Turns<Key> {
  /** Until when each key is taken. */
  readonly #last = new Map<Key, Promise<void>>()

  /** Resolves when all of the keys are free; call what it gives to set them free again. */
  async take(keys: ReadonlySet<Key>): Promise<() => void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const before = new Set<Promise<void>>()
    for (const key of keys) {
      const last = this.#last.get(key)
      if (last !== undefined) before.add(last)
      this.#last.set(key, promise)
    }
    await Promise.all(before)
    return () => {
      for (const key of keys) if (this.#last.get(key) === promise) this.#last.delete(key)
      resolve()
    }
  }
}
