/** How old an answer may be that others were given before. */

/** About the whole fleet: less than any source's interval. */
export const keepMs = 500

/** A clock that was set back makes nothing fresh. */
export function isFresh(atMs: number, nowMs: number, forMs: number): boolean {
  return nowMs >= atMs && nowMs - atMs < forMs
}
