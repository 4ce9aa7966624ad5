/** The children's logs as lines for people: `12:00:01 broker-0   listening url=…`. */

import { styleText } from 'node:util'
import { printable } from '../table.ts'

type Style = Parameters<typeof styleText>[0]

const roleStyles: readonly Style[] = ['cyan', 'green', 'magenta', 'blue', 'yellow']

/** Said by the prefix or the message, or of no use to a person. */
const hidden = new Set(['level', 'time', 'msg', 'role', 'pid', 'hostname', 'engine'])

export class LogLines {
  readonly #stream: NodeJS.WriteStream
  readonly #width: number
  readonly #styles: ReadonlyMap<string, Style>
  /** What was told of HTTP engines. */
  readonly #engines = new Set<string>()

  /** @param names all that will speak, for the width of the prefix and a colour for each */
  constructor(stream: NodeJS.WriteStream, names: readonly string[]) {
    this.#stream = stream
    this.#width = Math.max(...names.map((name) => name.length))
    this.#styles = new Map(names.map((name, at) => [name, roleStyles[at % roleStyles.length] as Style]))
  }

  /**
   * A line of a child: pino's JSON, or whatever else it printed. Empty for the HTTP engine of a role where another one has told the
   * same: they all run on this machine.
   */
  format(name: string, line: string): string {
    const entry = readEntry(line)
    if (entry === undefined) return this.#plain(name, line)
    if (typeof entry['engine'] === 'string') {
      const told = String(entry['msg'])
      if (this.#engines.has(told)) return ''
      this.#engines.add(told)
    }
    const level = typeof entry['level'] === 'string' ? entry['level'] : 'info'
    const time = typeof entry['time'] === 'string' ? entry['time'].slice(11, 19) : ''
    return `${this.#prefix(name, time)} ${this.#marked(level, describe(entry))}\n`
  }

  /** Not of its log: the last words of a command that ends (main.ts), or what Node itself has to say. */
  #plain(name: string, line: string): string {
    const text = line.replace(/^penstock [a-z]+: /, '')
    return this.own(name, printable(text), text === line ? 'info' : 'error')
  }

  /** A line that has no time of its own. */
  own(name: string, text: string, level: 'info' | 'warn' | 'error'): string {
    return `${this.#prefix(name, new Date().toISOString().slice(11, 19))} ${this.#marked(level, text)}\n`
  }

  #prefix(name: string, time: string): string {
    return `${this.#style('dim', time.padEnd(8))} ${this.#style(this.#styles.get(name) ?? 'white', name.padEnd(this.#width))}`
  }

  #marked(level: string, text: string): string {
    if (level === 'warn') return this.#style('yellow', `warning: ${text}`)
    if (level === 'error' || level === 'fatal') return this.#style('red', `error: ${text}`)
    return level === 'info' ? text : this.#style('dim', text)
  }

  /** Styled for the stream as it is: nothing in a file, under NO_COLOR, or in a dumb terminal. */
  #style(style: Style, text: string): string {
    return styleText(style, text, { stream: this.#stream })
  }
}

function readEntry(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    return JSON.parse(line) as Record<string, unknown>
  } catch {
    return undefined
  }
}

function describe(entry: Record<string, unknown>): string {
  const message = typeof entry['msg'] === 'string' ? printable(entry['msg']) : ''
  const fields = Object.entries(entry)
    .filter(([name]) => !hidden.has(name))
    .map(([name, value]) => `${printable(name)}=${valueText(value)}`)
  return [message, ...fields].filter((part) => part !== '').join(' ')
}

/** An error (pino's `err`) by its message; a text without blanks as it is; the rest as JSON writes it. */
function valueText(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'message' in value && 'stack' in value) {
    return JSON.stringify((value as { message: unknown }).message)
  }
  return printable(typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value))
}
