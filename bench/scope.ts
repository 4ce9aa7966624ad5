/** What `test/start.ts` needs of a test, for a suite: it is told when a part is over. */
export class Scope {
  readonly #callbacks: (() => unknown)[] = []

  teardown(callback: () => unknown): void {
    this.#callbacks.push(callback)
  }

  async end(): Promise<void> {
    for (const callback of this.#callbacks.splice(0).toReversed()) await callback()
  }
}
