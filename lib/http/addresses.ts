/** How many requests each address has open: one client must not take what all of them share. */
export class Addresses {
  readonly #max: number
  readonly #open = new Map<string, number>()

  /** @param max of one address at the same time; Infinity counts nothing */
  constructor(max: number) {
    this.#max = max
  }

  get isBounded(): boolean {
    return this.#max !== Infinity
  }

  /** @returns false when the address has all that it may have; else {@link give} it back */
  take(address: string): boolean {
    const open = this.#open.get(address) ?? 0
    if (open >= this.#max) return false
    this.#open.set(address, open + 1)
    return true
  }

  give(address: string): void {
    const open = (this.#open.get(address) ?? 0) - 1
    if (open > 0) this.#open.set(address, open)
    else this.#open.delete(address)
  }
}
