/** A series as one line of blocks: what a terminal can show of a chart. */

const blocks = '▁▂▃▄▅▆▇█'

/** Where nothing was reported. */
const gap = ' '

/**
 * The values from left to right, scaled between their least and their greatest; more than `width` of them are the means of
 * neighbours. `null` is a gap, and a series that never moves is a line in the middle.
 */
export function sparkline(values: readonly (number | null)[], width: number): string {
  const cells = binned(values, width)
  const known = cells.filter((value) => value !== null)
  const least = known.reduce((a, b) => Math.min(a, b), Infinity)
  const range = known.reduce((a, b) => Math.max(a, b), -Infinity) - least
  const top = blocks.length - 1
  return cells
    .map((value) => {
      if (value === null) return gap
      return blocks[range === 0 ? top >> 1 : Math.round((top * (value - least)) / range)]
    })
    .join('')
}

/** At most `width` values: each the mean of what falls to it, `null` where that is nothing. */
function binned(values: readonly (number | null)[], width: number): readonly (number | null)[] {
  if (values.length <= width) return values
  return Array.from({ length: width }, (_, at) => {
    const from = Math.floor((at * values.length) / width)
    const to = Math.floor(((at + 1) * values.length) / width)
    const own = values.slice(from, to).filter((value) => value !== null)
    return own.length === 0 ? null : own.reduce((a, b) => a + b, 0) / own.length
  })
}
