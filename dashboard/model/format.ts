/** Numbers as people read them. What is not reported has words of its own, and is never a zero. */

export const notReported = 'not reported'

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

export function count(value: number): string {
  return grouped.format(value)
}

/** Three figures or so, with the prefix that fits: `65.0 kW`, `941 MB/s`. */
export function scaled(value: number, unit: string, base = 1000): string {
  const prefixes = base === 1024 ? ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'] : ['', 'k', 'M', 'G', 'T', 'P', 'E']
  let [at, scaledValue] = [0, value]
  // 999.96 would be written 1000.0.
  while (Math.abs(scaledValue) >= base - 0.05 && at < prefixes.length - 1) {
    scaledValue /= base
    at++
  }
  const digits = at === 0 || Math.abs(scaledValue) >= 99.95 ? 0 : 1
  return `${scaledValue.toFixed(digits)} ${prefixes[at]}${unit}`.trim()
}

/** @param watts `null`: not reported */
export function power(watts: number | null): string {
  return watts === null ? notReported : scaled(watts, 'W')
}

/** @param mib `null`: not reported */
export function memory(mib: number | null): string {
  return mib === null ? notReported : scaled(mib * 1024 * 1024, 'B', 1024)
}

export function bytes(value: number): string {
  return scaled(value, 'B')
}

/** A rate a second, of small ones with a decimal. */
export function rate(value: number): string {
  if (value === 0) return '0/s'
  return value < 10 ? `${value.toFixed(1)}/s` : `${scaled(value, '').replace(' ', '')}/s`
}

export function percent(value: number | null, digits = 0): string {
  return value === null ? notReported : `${value.toFixed(digits)} %`
}

export function celsius(value: number | null): string {
  return value === null ? notReported : `${value.toFixed(0)} °C`
}

/** How long ago, or how long: `4 s`, `12 min`, `5 h`, `130 d`. Below 0 (a source whose clock runs ahead) is `0 s`. */
export function duration(ms: number): string {
  const s = Math.max(0, ms / 1000)
  if (s < 99.5) return `${Math.round(s)} s`
  if (s < 5970) return `${Math.round(s / 60)} min`
  if (s < 172_800) return `${Math.round(s / 3600)} h`
  return `${grouped.format(Math.round(s / 86_400))} d`
}

export function ago(ms: number): string {
  return `${duration(ms)} ago`
}

/** `2025-07-18 20:42:34 UTC`. */
export function moment(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}
