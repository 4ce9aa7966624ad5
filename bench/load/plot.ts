/** A plot of lines as SVG: readable as text, in light and in dark. */

export interface Series {
  readonly name: string
  /** Rising in x. */
  readonly points: readonly (readonly [x: number, y: number])[]
}

export const width = 720
const height = 360
const margin = { left: 56, right: 16, top: 64, bottom: 44 }

export const style = `
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .line { fill: none; stroke-width: 2 }
  .c0 { stroke: #0969da } .c1 { stroke: #bf5700 } .c2 { stroke: #1a7f37 } .c3 { stroke: #8250df } .c4 { stroke: #6e7781 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .grid { stroke: #373e47 }
    .c0 { stroke: #58a6ff } .c1 { stroke: #f0883e } .c2 { stroke: #56d364 } .c3 { stroke: #d2a8ff } .c4 { stroke: #8b949e }
  }`

export interface PlotOptions {
  /** Where x is named. */
  readonly ticks?: readonly number[]
  /** Whether y is logarithmic too; else it begins at 0 and is linear. */
  readonly isLogY?: boolean
}

/** Lines over a logarithmic x axis. */
export function plot(
  title: string,
  xTitle: string,
  series: readonly Series[],
  { ticks = [3, 10, 30, 100, 300, 1000], isLogY = false }: PlotOptions = {},
): string {
  const all = series.flatMap(({ points }) => points)
  const [xMin, xMax] = [Math.min(...all.map(([x]) => x)), Math.max(...all.map(([x]) => x))]
  const scale = (isLogY ? decades : linear)(all.map(([, y]) => y))
  const share = (x: number): number => Math.log(x / xMin) / Math.log(xMax / xMin)
  const atX = (x: number): string => (margin.left + share(x) * (width - margin.left - margin.right)).toFixed(1)
  const atY = (y: number): string =>
    (height - margin.bottom - scale.share(y) * (height - margin.top - margin.bottom)).toFixed(1)
  const right = width - margin.right
  const xs = ticks.filter((x) => x >= xMin && x <= xMax)
  const space = Math.floor((width - margin.left - margin.right) / Math.max(3, series.length))
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${title}">`,
    `<style>${style}\n</style>`,
    `<text class="title" x="${margin.left}" y="22">${title}</text>`,
    ...series.flatMap(({ name }, at) => {
      const x = margin.left + at * space
      return [
        `<line class="line c${at}" x1="${x}" y1="42" x2="${x + 22}" y2="42"/>`,
        `<text x="${x + 28}" y="46">${name}</text>`,
      ]
    }),
    ...scale.ticks.flatMap((y) => [
      `<line class="grid" x1="${margin.left}" y1="${atY(y)}" x2="${right}" y2="${atY(y)}"/>`,
      `<text x="${margin.left - 8}" y="${Number(atY(y)) + 4}" text-anchor="end">${short(y)}</text>`,
    ]),
    ...xs.map((x) => `<text x="${atX(x)}" y="${height - margin.bottom + 20}" text-anchor="middle">${short(x)}</text>`),
    `<text x="${right}" y="${height - 8}" text-anchor="end">${xTitle}</text>`,
    ...series.map(({ points }, at) => {
      const path = points.map(([x, y]) => `${atX(x)},${atY(y)}`).join(' ')
      return `<polyline class="line c${at}" points="${path}"/>`
    }),
    '</svg>',
  ]
  return `${lines.join('\n')}\n`
}

interface Scale {
  readonly ticks: readonly number[]
  /** How far up: 0 to 1. */
  share(y: number): number
}

function linear(ys: readonly number[]): Scale {
  const step = stepOf(Math.max(...ys))
  const top = Math.ceil(Math.max(...ys) / step) * step
  return { ticks: Array.from({ length: Math.round(top / step) + 1 }, (_, at) => at * step), share: (y) => y / top }
}

function decades(ys: readonly number[]): Scale {
  const from = Math.floor(Math.log10(Math.min(...ys)))
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(...ys))))
  return {
    ticks: Array.from({ length: to - from + 1 }, (_, at) => 10 ** (from + at)),
    share: (y) => (Math.log10(y) - from) / (to - from),
  }
}

/** 20,000 as `20k`. */
export function short(value: number): string {
  if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`
  return value >= 1e4 ? `${Number((value / 1e3).toPrecision(3))}k` : String(Number(value.toPrecision(3)))
}

/** 1, 2 or 5 of a decimal place: some five lines up to the highest value. */
function stepOf(highest: number): number {
  const place = 10 ** Math.floor(Math.log10(highest / 5))
  return ([1, 2, 5, 10].find((each) => each * place >= highest / 5) ?? 10) * place
}
