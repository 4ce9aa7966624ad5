/**
 * Times as text without `Date`: the model is a function of its options, and reads no clock and no time zone.
 */

const dayMs = 86_400_000

/** RFC 3339 in UTC: `2025-07-18T20:42:34Z`, with `.123` before the Z only where `ms` is no whole second. */
export function formatTime(ms: number): string {
  const [year, month, day] = civil(Math.floor(ms / dayMs))
  const rest = ms - Math.floor(ms / dayMs) * dayMs
  const clock = `${two(Math.floor(rest / 3_600_000))}:${two(Math.floor(rest / 60_000) % 60)}:${two(Math.floor(rest / 1000) % 60)}`
  const fraction = rest % 1000 === 0 ? '' : `.${String(rest % 1000).padStart(3, '0')}`
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}T${clock}${fraction}Z`
}

/** As file names have it: `20250718_204234`. */
export function formatStamp(ms: number): string {
  const text = formatTime(Math.floor(ms / 1000) * 1000)
  return `${text.slice(0, 10).replaceAll('-', '')}_${text.slice(11, 19).replaceAll(':', '')}`
}

/** Year, month, day of a day counted from 1970-01-01 (H. Hinnant, "chrono-compatible low-level date algorithms"). */
function civil(days: number): [year: number, month: number, day: number] {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const month = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * month + 2) / 5) + 1
  return [yearOfEra + era * 400 + (month >= 10 ? 1 : 0), month < 10 ? month + 3 : month - 9, day]
}

function two(number: number): string {
  return number < 10 ? `0${number}` : String(number)
}
