/** Answers that many requests are given: the same object to each, written as JSON once. */

const written = new WeakMap<object, Buffer | undefined>()

/** Says of an answer that others will be given it, too, and that nobody changes it any more. */
export function shared<T extends object>(answer: T): T {
  written.set(answer, undefined)
  return answer
}

/** The JSON of an answer. */
export function jsonOf(answer: unknown): string | Buffer {
  if (typeof answer !== 'object' || answer === null || !written.has(answer)) return JSON.stringify(answer)
  let bytes = written.get(answer)
  if (bytes === undefined) written.set(answer, (bytes = Buffer.from(JSON.stringify(answer))))
  return bytes
}
