/**
 * Values as DCGM and its exporters write them: a number, or one of the many ways to say that there is none.
 *
 * Blank values come from DCGM's `dcgm_structs.h` (`DCGM_INT32_BLANK`, `DCGM_INT64_BLANK`, `DCGM_FP64_BLANK` and the codes
 * above each: not found, not supported, not permissioned); the texts from nvidia-smi and dcgm-exporter.
 */

/** `DCGM_INT32_BLANK`: 2^31 - 16; the codes go on to 2^31 - 1. */
export const int32Blank = 2_147_483_632
const int32BlankMax = 2_147_483_647

/** `DCGM_INT64_BLANK` is 2^63 - 16, which a double holds as 2^63. */
const int64Blank = 2 ** 63

/** `DCGM_FP64_BLANK`: 2^47. Its codes are the next few whole numbers. */
const fp64Blank = 140_737_488_355_328
const fp64BlankMax = fp64Blank + 16

const notReportedTexts = new Set([
  '',
  'n/a',
  '[n/a]',
  'nan',
  'null',
  'none',
  '-',
  'not supported',
  '[not supported]',
  '[not found]',
  '[unknown error]',
  '[insufficient permissions]',
  '[gpu requires reset]',
  '[gpu is lost]',
  'skipping dcgm value',
  'error - failed to convert to string',
])

// One way to read each text: `\d+\.?\d*` has as many as there are digits, and a row of a million of them held the streamer up for
// the better part of an hour.
const numberPattern = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/

/**
 * Reads the value column of a row.
 *
 * @returns the number; `null` when the source says that it has none (blank, sentinel, `[N/A]` …); `undefined` when the text
 *   is neither, such as `12 W`, `0x1f` or an infinity
 */
export function parseValue(text: string): number | null | undefined {
  // The plain case first: nearly all values are short and decimal.
  if (numberPattern.test(text)) return withoutSentinel(Number(text))
  const trimmed = text.trim()
  if (trimmed !== text) return parseValue(trimmed)
  return notReportedTexts.has(text.toLowerCase()) ? null : undefined
}

/**
 * `null` for a number that DCGM uses to say "blank", the number itself for any other, `undefined` for an infinity.
 *
 * A 64-bit blank cannot be told from other numbers of that size, so all of them are blank. For the 32-bit and
 * floating-point blanks only their own few codes are taken: counters of nanoseconds, bytes and millijoules run past both.
 */
export function withoutSentinel(value: number): number | null | undefined {
  if (value < int32Blank) return value === -Infinity ? undefined : value
  if (value <= int32BlankMax && Number.isInteger(value)) return null
  if (value >= fp64Blank && value < fp64BlankMax) return null
  if (value === Infinity) return undefined
  return value >= int64Blank ? null : value
}
