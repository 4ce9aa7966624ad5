import { test } from 'tap'
import { gradient, scales, shadeAt, stepsOfScale, type Theme } from './colour.ts'

const themes: readonly Theme[] = ['dark', 'light']

/** Red, green and blue of `rgb(r g b)`, linear, 0 to 1. */
function linear(css: string): [number, number, number] {
  const parts = css.match(/\d+/g)?.map((part) => Number(part) / 255) ?? []
  return parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)) as [
    number,
    number,
    number,
  ]
}

function luminance([r, g, b]: [number, number, number]): number {
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

/** OKLab lightness of linear sRGB. */
function lightness([r, g, b]: [number, number, number]): number {
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
  return 0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s
}

/** Machado, Oliveira and Fernandes (2009), severity 1. */
const blindness = {
  protan: [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  deutan: [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
  tritan: [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
} as const

test('lightness moves in equal steps, so equal steps of a value look equal', (t) => {
  for (const theme of themes) {
    const all = scales[theme].map(({ css }) => lightness(linear(css)))
    t.equal(all.length, stepsOfScale)
    const step = ((all.at(-1) as number) - (all[0] as number)) / (stepsOfScale - 1)
    const worst = Math.max(...all.map((l, at) => Math.abs(l - (all[0] as number) - at * step)))
    t.ok(worst < 0.006, `${theme}: within 8 bits of a straight line (${worst.toFixed(4)})`)
    t.equal(Math.sign(step), theme === 'dark' ? 1 : -1, 'high values stand out against the ground')
  }
  t.end()
})

test('the order of the shades is seen without any of the three kinds of cones', (t) => {
  for (const theme of themes) {
    for (const [kind, m] of Object.entries(blindness)) {
      const seen = scales[theme].map(({ css }) => {
        const [r, g, b] = linear(css)
        const row = (at: number) => (m[at] as number) * r + (m[at + 1] as number) * g + (m[at + 2] as number) * b
        return luminance([row(0), row(3), row(6)])
      })
      // Eight steps apart: what a person could tell apart at all.
      const isOrdered = seen.every(
        (value, at) => at < 8 || (value - (seen[at - 8] as number)) * (theme === 'dark' ? 1 : -1) > 0,
      )
      t.ok(isOrdered, `${theme}, ${kind}`)
    }
  }
  t.end()
})

test('the number in a cell can be read on every shade', (t) => {
  for (const theme of themes) {
    for (const { css, ink } of scales[theme]) {
      const hex = (at: number) => Number.parseInt(ink.slice(at, at + 2), 16)
      const [a, b] = [luminance(linear(css)), luminance(linear(`rgb(${hex(1)} ${hex(3)} ${hex(5)})`))]
      const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
      if (contrast < 4.5) t.fail(`${theme}: ${ink} on ${css} has a contrast of ${contrast.toFixed(2)}`)
    }
  }
  t.end()
})

test('what lies outside of the scale is drawn as its end', (t) => {
  t.equal(shadeAt('dark', -1), scales.dark[0])
  t.equal(shadeAt('dark', 7), scales.dark[stepsOfScale - 1])
  t.match(gradient('light'), /^linear-gradient\(90deg, rgb/)
  t.end()
})
