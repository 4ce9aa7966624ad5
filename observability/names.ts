/** The names of the metrics that a PromQL expression asks for: to find those that nobody has. */

/** What stands in an expression beside functions (which a bracket follows) and is no metric. */
const words = new Set(
  'and or unless on ignoring by without bool offset group_left group_right inf nan start end'.split(' '),
)

export function metricNames(expr: string): ReadonlySet<string> {
  const bare = expr
    .replace(/"(?:\\.|[^"\\])*"/g, '')
    .replace(/\{[^}]*\}/g, ' ')
    .replace(/\[[^\]]*\]/g, ' ')
    // Labels, not metrics, stand in the brackets behind these.
    .replace(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, ' ')
    .replace(/\boffset\s+\w+/g, ' ')
  const names = new Set<string>()
  for (const [name] of bare.matchAll(/(?<![\w.:$])[a-zA-Z_:][\w:]*(?![\w:]*\s*\()/g))
    if (!words.has(name)) names.add(name)
  return names
}
