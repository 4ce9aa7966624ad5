/** What the page shows of a GPU, and which metrics that is made of. */

import { celsius, memory, percent, power } from './format.ts'

/** The metrics that the page asks for. */
export const metricNames = {
  utilisation: 'DCGM_FI_DEV_GPU_UTIL',
  power: 'DCGM_FI_DEV_POWER_USAGE',
  temperature: 'DCGM_FI_DEV_GPU_TEMP',
  used: 'DCGM_FI_DEV_FB_USED',
  free: 'DCGM_FI_DEV_FB_FREE',
} as const

export type Quantity = keyof typeof metricNames

export const quantities = Object.keys(metricNames) as Quantity[]

const quantityByMetric = new Map<string, Quantity>(quantities.map((quantity) => [metricNames[quantity], quantity]))

/** `undefined`: a metric that the page does not show. */
export function quantityOf(metric: string): Quantity | undefined {
  return quantityByMetric.get(metric)
}

/** What the heat map, the sparklines and the charts can be about. */
export type Focus = 'utilisation' | 'power' | 'temperature' | 'memory'

export interface FocusRow {
  readonly title: string
  /** In a cell of the heat map: no unit, the legend has it. */
  short(value: number): string
  text(value: number | null): string
  /** From which value to which the colours go; the end may move up when a GPU has more. */
  readonly domain: readonly [number, number]
  readonly grows: boolean
  /** Of the legend. */
  readonly unit: string
}

const whole = (value: number) => value.toFixed(0)

export const focuses: Readonly<Record<Focus, FocusRow>> = {
  utilisation: { title: 'Utilisation', short: whole, text: percent, domain: [0, 100], grows: false, unit: '%' },
  power: { title: 'Power', short: whole, text: power, domain: [0, 700], grows: true, unit: 'W' },
  temperature: { title: 'Temperature', short: whole, text: celsius, domain: [20, 90], grows: true, unit: '°C' },
  memory: { title: 'Memory', short: whole, text: percent, domain: [0, 100], grows: false, unit: '% used' },
}

export const focusNames = Object.keys(focuses) as Focus[]

/** Memory in use as the map and the lines show it, in percent; `null` where one of both is not reported. */
export function memoryShare(usedMib: number | null, freeMib: number | null): number | null {
  if (usedMib === null || freeMib === null || usedMib + freeMib <= 0) return null
  return (usedMib / (usedMib + freeMib)) * 100
}

/** `40.1 GiB of 79.6 GiB`. */
export function memoryText(usedMib: number | null, freeMib: number | null): string {
  if (usedMib === null || freeMib === null) return memory(usedMib)
  return `${memory(usedMib)} of ${memory(usedMib + freeMib)}`
}

/** From where to where the colours and the lines go: fixed, and further only where a GPU has more. */
export function domainOf(focus: Focus, values: readonly (number | null)[]): readonly [number, number] {
  const { domain, grows } = focuses[focus]
  if (!grows) return domain
  const most = values.reduce<number>((most, value) => (value !== null && value > most ? value : most), domain[1])
  return most === domain[1] ? domain : [domain[0], Math.ceil(most / 50) * 50]
}
