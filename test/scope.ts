/** What test/start.ts needs of a test, for a run that is none (a benchmark, a load test): it is told when all is over. */
export class Scope {
  readonly #callbacks: (() => unknown)[] = []

  teardown(callback: () => unknown): void {
    this.#callbacks.push(callback)
  }

  async end(): Promise<void> {
    for (const callback of this.#callbacks.splice(0).toReversed()) await callback()
  }
}
