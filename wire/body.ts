/** The bodies of produce requests: a line a record, as bytes. */

/** So many bodies leave their memory to later ones, of at most so many bytes each. */
const keptMax = 4
const keptBytesMax = 4 * 1024 * 1024

const encoder = new TextEncoder()
const lineFeed = 10

/** Bodies are written into memory that has served before: fresh pages cost more than the writing. */
export class Bodies {
  readonly #kept: Uint8Array<ArrayBuffer>[] = []

  /**
   * The records as NDJSON, each line with its end.
   *
   * They are encoded one by one: joined to one text first, they are copied twice more before they are bytes.
   */
  take(records: readonly { readonly data: string }[]): Uint8Array<ArrayBuffer> {
    let bytes = this.#kept.pop() ?? new Uint8Array(64 * 1024)
    let at = 0
    for (const { data } of records) {
      for (let from = 0; ;) {
        const { read, written } = encoder.encodeInto(from === 0 ? data : data.slice(from), bytes.subarray(at))
        at += written
        from += read
        if (from >= data.length && at < bytes.length) break
        const larger = new Uint8Array(2 * bytes.length + 3 * (data.length - from))
        larger.set(bytes.subarray(0, at))
        bytes = larger
      }
      bytes[at++] = lineFeed
    }
    return bytes.subarray(0, at)
  }

  /** Takes back a body that nobody looks at any more: it was answered. */
  give({ buffer }: Uint8Array<ArrayBuffer>): void {
    if (this.#kept.length < keptMax && buffer.byteLength <= keptBytesMax) this.#kept.push(new Uint8Array(buffer))
  }
}
