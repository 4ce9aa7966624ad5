/** Labels as Prometheus writes them: `name="value",name="value"`, with `\"`, `\\` and `\n` in values. */

const pair = /\s*([A-Za-z_][A-Za-z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|$)/y

/** Reads them, with or without braces around; `undefined` when the text is something else. */
export function parseLabels(text: string): Map<string, string> | undefined {
  const labels = new Map<string, string>()
  const inner = text.startsWith('{') && text.endsWith('}') ? text.slice(1, -1) : text
  pair.lastIndex = 0
  while (pair.lastIndex < inner.length) {
    const match = pair.exec(inner)
    if (match === null) return inner.trim() === '' ? labels : undefined
    labels.set(match[1] as string, unescape(match[2] as string))
  }
  return labels
}

function unescape(value: string): string {
  if (!value.includes('\\')) return value
  return value.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
}
