/** How far long work is: one line that is written over on a terminal, a line now and then elsewhere. */

/** How often a line goes to what is no terminal. */
const quietMs = 10_000

const eraseLine = '\r\u001b[K'

export class Progress {
  readonly #stream: NodeJS.WriteStream
  readonly #lineOf: (text: string) => string
  #shown = ''
  #lastText = ''
  #lastMs = performance.now()

  /** @param lineOf a line for where there is no terminal, newline included */
  constructor(stream: NodeJS.WriteStream, lineOf = (text: string) => `${text}\n`) {
    this.#stream = stream
    this.#lineOf = lineOf
  }

  /** Says how far it is now; call it as often as it changes. */
  update(text: string): void {
    if (this.#stream.isTTY) {
      const fitting = text.slice(0, Math.max(0, (this.#stream.columns || 80) - 1))
      if (fitting === this.#shown) return
      this.#stream.write(eraseLine + fitting)
      this.#shown = fitting
      return
    }
    const nowMs = performance.now()
    if (text === this.#lastText || nowMs - this.#lastMs < quietMs) return
    this.#lastText = text
    this.#lastMs = nowMs
    this.#stream.write(this.#lineOf(text))
  }

  /** Writes something else, newline included, above the line. */
  print(text: string, stream: NodeJS.WriteStream = this.#stream): void {
    if (this.#shown === '') {
      stream.write(text)
      return
    }
    this.#stream.write(eraseLine)
    stream.write(text)
    this.#stream.write(this.#shown)
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#shown !== '') this.#stream.write(eraseLine)
    this.#shown = ''
  }
}
