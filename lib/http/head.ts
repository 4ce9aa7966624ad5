// As in node.ts, not by `import`.
const { STATUS_CODES } = process.getBuiltinModule('node:http')

const notInName = /[^!#$%&'*+\-.^_`|~0-9A-Za-z]/
const notInValue = /[^\t\x20-\x7e\x80-\xff]/

/** A head as text, without a line end behind it. */
export interface Head {
  readonly head: string
  /** The `Content-Length` among the headers, which is not in the text: who writes the body writes it. */
  readonly length: number | undefined
  readonly type: string
}

/**
 * @param headers names and values in turns
 * @throws TypeError for a header that is none: it could end the head, and begin another answer
 */
export function headText(status: number, headers: readonly string[]): Head {
  let head = `${status} ${STATUS_CODES[status] ?? ''}`
  let length: number | undefined
  let type = ''
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string
    const value = headers[at + 1] as string
    if (name === '' || notInName.test(name)) throw new TypeError(`${JSON.stringify(name)} is no name of a header`)
    if (notInValue.test(value)) throw new TypeError(`a value that the header ${name} cannot have`)
    if (name === 'Content-Length') length = Number(value)
    else head += `\r\n${name}: ${value}`
    if (name === 'Content-Type') type = value
  }
  return { head, length, type }
}
