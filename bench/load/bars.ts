/** Bars in groups as SVG, in the style of plot.ts. */

import { short, style, width } from './plot.ts'

export interface Bar {
  readonly name: string
  readonly value: number
  /** One of ours: they have colours, and what they are held against is grey. */
  readonly isOurs: boolean
}

export interface BarGroup {
  readonly title: string
  readonly bars: readonly Bar[]
}

/** Of the colours of plot.ts. */
const grey = 4

const barHeight = 18
const gap = 14
const top = 44
const labelWidth = 190
const valueWidth = 70

/** Horizontal bars from 0, all on one linear scale; ours of one name have one colour. */
export function bars(title: string, groups: readonly BarGroup[]): string {
  const all = groups.flatMap(({ bars: some }) => some)
  const highest = Math.max(...all.map(({ value }) => value))
  const ours = [...new Set(all.filter(({ isOurs }) => isOurs).map(({ name }) => name))]
  const room = width - labelWidth - valueWidth
  const lines: string[] = []
  let y = top
  for (const group of groups) {
    lines.push(`<text class="title" x="16" y="${y + 12}">${group.title}</text>`)
    y += 22
    for (const { name, value, isOurs } of group.bars) {
      const colour = isOurs ? ours.indexOf(name) % grey : grey
      const long = Math.max(1, (room * value) / highest)
      lines.push(
        `<text x="${labelWidth - 8}" y="${y + 13}" text-anchor="end">${name}</text>`,
        `<line class="bar c${colour}" x1="${labelWidth}" y1="${y + 9}" x2="${(labelWidth + long).toFixed(1)}" y2="${y + 9}"/>`,
        `<text x="${(labelWidth + long + 6).toFixed(1)}" y="${y + 13}">${short(value)}</text>`,
      )
      y += barHeight
    }
    y += gap
  }
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" role="img" aria-label="${title}">`,
    `<style>${style}\n  .bar { stroke-width: 12 }\n</style>`,
    `<text class="title" x="16" y="22">${title}</text>`,
    ...lines,
    '</svg>',
  ].join('\n')}\n`
}
