/** What a look has found: one line what, one line how to mend it. */

export type Level = 'ok' | 'warning' | 'problem' | 'not looked at'

export interface Finding {
  readonly subject: string
  readonly level: Level
  readonly what: string
  /** What to do about it, where there is something to do. */
  readonly mend?: string
}

/** The findings of one subject, as a look makes them. */
export function findingsOf(subject: string) {
  return {
    ok: (what: string): Finding => ({ subject, level: 'ok', what }),
    warning: (what: string, mend: string): Finding => ({ subject, level: 'warning', what, mend }),
    problem: (what: string, mend: string): Finding => ({ subject, level: 'problem', what, mend }),
    skipped: (what: string, mend?: string): Finding => ({
      subject,
      level: 'not looked at',
      what,
      ...(mend === undefined ? {} : { mend }),
    }),
  }
}

/** `2 days`, `1 hour`. */
export function spanOf(seconds: number): string {
  const units = [
    ['day', 86_400],
    ['hour', 3_600],
    ['minute', 60],
  ] as const
  const [name, size] = units.find(([, each]) => seconds >= each) ?? (['second', 1] as const)
  return countOf(Math.floor(seconds / size), name)
}

/** `1 record`, `3 records`. */
export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
