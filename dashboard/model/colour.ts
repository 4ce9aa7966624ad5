/**
 * The colours of values. The scale is a line through OKLCH whose lightness moves in equal steps, so that equal steps of a
 * value look equally far apart, and whoever sees no hues still sees the order. High values stand out against either
 * background: bright on dark, dark on light.
 *
 * Source of the conversion: Björn Ottosson, "A perceptual color space for image processing" (2020).
 */

export type Theme = 'light' | 'dark'

export interface Shade {
  readonly css: string
  /** Text on it. */
  readonly ink: string
}

export const stepsOfScale = 64

/** Black and white have the same contrast to a ground of this relative luminance, 4.58 (WCAG 2.2, contrast ratio). */
const luminanceOfHalf = 0.1791

/** Lightness and hue at both ends; chroma at both ends and in the middle. */
const ends = {
  dark: { lightness: [0.32, 0.93], hue: [278, 108], chroma: [0.1, 0.13, 0.15] },
  light: { lightness: [0.95, 0.36], hue: [112, 272], chroma: [0.06, 0.12, 0.15] },
} as const

/** {@link stepsOfScale} shades from the lowest to the highest value. */
export const scales: Readonly<Record<Theme, readonly Shade[]>> = { dark: scaleOf('dark'), light: scaleOf('light') }

/** @param share where the value is on its scale, 0 to 1; what lies outside is drawn as the end */
export function shadeAt(theme: Theme, share: number): Shade {
  const at = Math.round(Math.min(1, Math.max(0, share)) * (stepsOfScale - 1))
  return scales[theme][at] as Shade
}

/** The scale as a CSS gradient, for legends. */
export function gradient(theme: Theme): string {
  const stops = [0, 0.25, 0.5, 0.75, 1].map((share) => shadeAt(theme, share).css)
  return `linear-gradient(90deg, ${stops.join(', ')})`
}

function scaleOf(theme: Theme): Shade[] {
  const { lightness, hue, chroma } = ends[theme]
  return Array.from({ length: stepsOfScale }, (_, step) => {
    const t = step / (stepsOfScale - 1)
    const l = lightness[0] + (lightness[1] - lightness[0]) * t
    const h = hue[0] + (hue[1] - hue[0]) * t
    const c = t < 0.5 ? mix(chroma[0], chroma[1], t * 2) : mix(chroma[1], chroma[2], t * 2 - 1)
    const [r, g, b] = inGamut(l, c, h)
    return { css: `rgb(${r} ${g} ${b})`, ink: luminance(r, g, b) > luminanceOfHalf ? '#000000' : '#ffffff' }
  })
}

function luminance(r: number, g: number, b: number): number {
  const linear = (part: number) => (part <= 10 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4)
  return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

function mix(a: number, b: number, t: number): number {
  return a + (b - a) * t
}

/** The most colourful sRGB colour of this lightness and hue up to the chroma, in 0 to 255. */
function inGamut(l: number, chroma: number, h: number): [number, number, number] {
  for (let c = chroma; ; c -= 0.005) {
    const rgb = toSrgb(l, Math.max(0, c), h)
    if (c <= 0 || rgb.every((part) => part >= -0.0005 && part <= 1.0005)) {
      return rgb.map((part) => Math.round(Math.min(1, Math.max(0, part)) * 255)) as [number, number, number]
    }
  }
}

function toSrgb(l: number, c: number, hue: number): [number, number, number] {
  const a = c * Math.cos((hue * Math.PI) / 180)
  const b = c * Math.sin((hue * Math.PI) / 180)
  const [x, y, z] = [
    (l + 0.3963377774 * a + 0.2158037573 * b) ** 3,
    (l - 0.1055613458 * a - 0.0638541728 * b) ** 3,
    (l - 0.0894841775 * a - 1.291485548 * b) ** 3,
  ]
  return [
    gamma(4.0767416621 * x - 3.3077115913 * y + 0.2309699292 * z),
    gamma(-1.2684380046 * x + 2.6097574011 * y - 0.3413193965 * z),
    gamma(-0.0041960863 * x - 0.7034186147 * y + 1.707614701 * z),
  ]
}

function gamma(linear: number): number {
  return linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055
}
