/** Contestants that take turns, so that a machine that slows down slows them all, and what comes out of it. */

import type { Bench } from '../measure.ts'

/** What one contestant came to in all rounds. */
export interface Figure {
  readonly median: number
  /** (highest - lowest) / median. */
  readonly spread: number
  readonly rounds: number
}

/**
 * Runs every contestant once a round, in an order that turns by one with each round: what one leaves behind (a file that is still
 * being written out) meets each of the others as often. Each returns its figure of that round,
 * or nothing when it sits it out.
 */
export async function takeTurns<Name extends string>(
  bench: Bench,
  rounds: number,
  contestants: Readonly<Record<Name, () => Promise<number | undefined>>>,
): Promise<Record<Name, Figure>> {
  const names = Object.keys(contestants) as Name[]
  const figures = new Map<Name, number[]>(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    const said = new Map<Name, string>()
    for (let at = 0; at < names.length; at++) {
      const name = names[(at + round) % names.length] as Name
      const figure = await contestants[name]()
      if (figure === undefined) continue
      figures.get(name)?.push(figure)
      said.set(name, short(figure))
    }
    const each = names.filter((name) => said.has(name)).map((name) => `${name} ${said.get(name)}`)
    bench.say(`round ${round + 1} of ${rounds}: ${each.join(', ')}`)
  }
  return Object.fromEntries(names.map((name) => [name, figureOf(figures.get(name) as number[])])) as Record<
    Name,
    Figure
  >
}

/** The middle of some figures, and how far they lie apart. */
export function figureOf(values: readonly number[]): Figure {
  const sorted = values.toSorted((a, b) => a - b)
  const median = sorted[sorted.length >> 1] as number
  return { median, spread: ((sorted.at(-1) as number) - (sorted[0] as number)) / median, rounds: sorted.length }
}

/** Reports one contestant against the others that are there, a line each; against none, one line. */
export function report(
  bench: Bench,
  work: string,
  unit: string,
  { median, spread }: Figure,
  peers: Readonly<Record<string, Figure | undefined>>,
  extra: Readonly<Record<string, unknown>> = {},
): void {
  const there = Object.entries(peers).filter(([, figure]) => figure !== undefined) as [string, Figure][]
  for (const [peer, figure] of there) {
    const held = { peer, peer_value: figure.median, peer_spread: figure.spread }
    bench.report({ work, unit, value: median, spread, ...held, ...extra })
  }
  if (there.length === 0) bench.report({ work, unit, value: median, spread, ...extra })
}

/** Seconds that something takes. */
export async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return (performance.now() - startedMs) / 1000
}

/** Runs a piece of work for each number below a count, so many at a time. */
export async function sideBySide(count: number, width: number, work: (at: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: Math.min(width, count) }, worker))
}

function short(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3)
}
