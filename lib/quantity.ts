/** Durations, sizes and whole numbers as people write them, in settings and in query parameters. */

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

const byteUnits: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

/** Milliseconds: a number and one of ms, s, m, h, d, or a plain 0. `undefined` for anything else. */
export function parseDuration(text: string): number | undefined {
  if (text === '0') return 0
  return parseWithUnit(text, durationUnits)
}

/** Bytes: a number and one of B, kB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (of 1024), or none. */
export function parseBytes(text: string): number | undefined {
  return parseWithUnit(text, byteUnits)
}

/** A whole number in decimal digits, perhaps with a minus; `undefined` also beyond 2^53. */
export function parseInteger(text: string): number | undefined {
  if (!/^-?\d{1,16}$/.test(text)) return undefined
  const value = Number(text)
  return Number.isSafeInteger(value) ? value + 0 : undefined
}

function parseWithUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,9})?) ?([A-Za-z]*)$/.exec(text)
  if (match === null) return undefined
  const unit = match[2] as string
  if (!Object.hasOwn(units, unit)) return undefined
  // Rounded, because 0.07 s is 70.00000000000001 ms.
  const value = Math.round(Number(match[1]) * (units[unit] as number))
  return Number.isSafeInteger(value) ? value : undefined
}
