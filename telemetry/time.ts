/**
 * Times of records: RFC 3339, to the nanosecond where the source has it. A record keeps the text that its source gave; an
 * {@link Instant} is what two texts are compared by, so that `…:34Z` and `…:34.000+00:00` are one moment.
 */

import type { Zone } from './zone.ts'

/** A moment after 1970, as two whole numbers that stay exact. */
export interface Instant {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  readonly ms: number
  /** Nanoseconds within that millisecond, 0 to 999,999. */
  readonly ns: number
}

/** 2262-01-01T00:00:00Z: just below the last nanosecond that a signed 64-bit number can hold. */
const instantMsMax = 9_214_646_400_000

/** Days before each month of a year that is no leap year. */
const daysBefore = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365]

/**
 * Reads an RFC 3339 date-time (`2025-07-18T20:42:34.123456789Z`, or with an offset such as `+05:30`).
 *
 * Read by character codes, because it runs once a record on both sides of the broker: 25M/s, a regular
 * expression 5M/s.
 *
 * @returns `undefined` for any other text, for a date that does not exist, and for moments before 1970 or after 2261.
 *   Digits beyond the ninth of a fraction are dropped; a leap second is the second after it.
 */
export function parseTime(text: string): Instant | undefined {
  const year = digits(text, 0, 4)
  const month = digits(text, 5, 2)
  const day = digits(text, 8, 2)
  const hour = digits(text, 11, 2)
  const minute = digits(text, 14, 2)
  const second = digits(text, 17, 2)
  if ((year | month | day | hour | minute | second) < 0) return undefined
  if (text.charCodeAt(4) !== 45 || text.charCodeAt(7) !== 45) return undefined
  if (text.charCodeAt(13) !== 58 || text.charCodeAt(16) !== 58) return undefined
  const between = text.charCodeAt(10)
  if (between !== 84 && between !== 116 && between !== 32) return undefined
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return undefined
  if (hour > 23 || minute > 59 || second > 60) return undefined

  let at = 19
  let fractionNs = 0
  if (text.charCodeAt(at) === 46) {
    const start = ++at
    for (; isDigit(text.charCodeAt(at)); at++) {
      if (at - start < 9) fractionNs = fractionNs * 10 + text.charCodeAt(at) - 48
    }
    if (at === start) return undefined
    for (let given = at - start; given < 9; given++) fractionNs *= 10
  }

  const zone = text.charCodeAt(at)
  let offsetMinutes = 0
  if (zone === 90 || zone === 122) {
    if (text.length !== at + 1) return undefined
  } else {
    const offsetHour = digits(text, at + 1, 2)
    const offsetMinute = digits(text, at + 4, 2)
    if ((zone !== 43 && zone !== 45) || text.length !== at + 6 || text.charCodeAt(at + 3) !== 58) return undefined
    if ((offsetHour | offsetMinute) < 0 || offsetHour > 23 || offsetMinute > 59) return undefined
    offsetMinutes = (offsetHour * 60 + offsetMinute) * (zone === 45 ? -1 : 1)
  }

  const seconds = daysSince1970(year, month, day) * 86_400 + hour * 3600 + (minute - offsetMinutes) * 60 + second
  const ms = seconds * 1000 + Math.floor(fractionNs / 1_000_000)
  if (ms < 0 || ms >= instantMsMax) return undefined
  return { ms, ns: fractionNs % 1_000_000 }
}

/** Writes an instant as RFC 3339 in UTC: no fraction for a whole second, else 3, 6 or 9 digits. */
export function formatTime({ ms, ns }: Instant): string {
  const second = Math.floor(ms / 1000)
  const day = Math.floor(second / 86_400)
  const ofDay = second - day * 86_400
  const clock = `${pad(Math.floor(ofDay / 3600), 2)}:${pad(Math.floor(ofDay / 60) % 60, 2)}:${pad(ofDay % 60, 2)}`
  const fraction = ns === 0 ? (ms % 1000 === 0 ? '' : `.${pad(ms % 1000, 3)}`) : `.${pad(ms % 1000, 3)}${subMs(ns)}`
  return `${formatDay(day)}T${clock}${fraction}Z`
}

/** The date of a day since 1970: the first guess of the year is late by the leap days, so it steps back. */
function formatDay(day: number): string {
  let year = 1970 + Math.floor(day / 365)
  while (daysSince1970(year, 1, 1) > day) year--
  const ofYear = day - daysSince1970(year, 1, 1)
  let month = 12
  while (daysSince1970(year, month, 1) - daysSince1970(year, 1, 1) > ofYear) month--
  return `${year}-${pad(month, 2)}-${pad(day - daysSince1970(year, month, 1) + 1, 2)}`
}

function subMs(ns: number): string {
  return ns % 1000 === 0 ? pad(ns / 1000, 3) : pad(ns, 6)
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0')
}

/** Nanoseconds since 1970. */
export function epochNs({ ms, ns }: Instant): bigint {
  return BigInt(ms) * 1_000_000n + BigInt(ns)
}

/**
 * Turns the times that source files have into RFC 3339: that itself (unchanged), a date and time without a zone, or seconds,
 * milliseconds, microseconds or nanoseconds since 1970 (told apart by their size).
 *
 * @param zone of times that have none; without it they are UTC
 * @returns `undefined` when the text is none of these
 */
export function sourceTime(text: string, zone?: Zone): string | undefined {
  const given = text.trim()
  if (parseTime(given) !== undefined) return given
  if (/^\d+(\.\d+)?$/.test(given)) return epochTime(given)
  const dashed = given.replaceAll('/', '-')
  const hasZone = /(Z|[+-]\d\d:\d\d)$/i.test(dashed)
  const withZone = hasZone ? dashed : `${dashed}Z`
  const shown = parseTime(withZone)
  if (shown === undefined || hasZone || zone === undefined) return shown === undefined ? undefined : withZone
  const ms = zone.momentOf(shown.ms)
  return ms < 0 || ms >= instantMsMax ? undefined : formatTime({ ms, ns: shown.ns })
}

/** The powers of ten below a second that a whole number of so many digits counts in: up to 11 digits are seconds. */
function epochTime(text: string): string | undefined {
  const [whole = '', fraction = ''] = text.split('.')
  const subsecondDigits = whole.length <= 11 ? 0 : whole.length <= 14 ? 3 : whole.length <= 17 ? 6 : 9
  const allNs = BigInt(whole + fraction.padEnd(9, '0').slice(0, 9 - subsecondDigits))
  const instant = { ms: Number(allNs / 1_000_000n), ns: Number(allNs % 1_000_000n) }
  return instant.ms >= instantMsMax ? undefined : formatTime(instant)
}

function daysIn(year: number, month: number): number {
  if (month === 2 && isLeap(year)) return 29
  return (daysBefore[month] as number) - (daysBefore[month - 1] as number)
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
}

function daysSince1970(year: number, month: number, day: number): number {
  const past = year - 1
  const leapDays = Math.floor(past / 4) - Math.floor(past / 100) + Math.floor(past / 400) - 477
  const thisYear = (daysBefore[month - 1] as number) + (month > 2 && isLeap(year) ? 1 : 0)
  return (year - 1970) * 365 + leapDays + thisYear + day - 1
}

/** The number that `count` digits at `at` write, or -1 when one of them is no digit. */
function digits(text: string, at: number, count: number): number {
  let value = 0
  for (let index = at; index < at + count; index++) {
    const code = text.charCodeAt(index)
    if (!isDigit(code)) return -1
    value = value * 10 + code - 48
  }
  return value
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57
}
