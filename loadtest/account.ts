/** The sum of a run: what k6 was told is acknowledged, against what the pipeline has. Pure, but for the waiting. */

import { setTimeout as sleep } from 'node:timers/promises'

import type { Audit, Stack } from './stack.ts'

/** What k6 counted: records. */
export interface Counted {
  readonly offered: number
  readonly acknowledged: number
  /** Answered, and not with 200. */
  readonly refused: number
  /** No answer came: they may be there or not. */
  readonly unanswered: number
  readonly consumed: number
}

export interface Sum extends Counted {
  /** In the brokers' logs. */
  readonly logged: number
  readonly stored: number
  readonly duplicate: number
  readonly notReported: number
  readonly dead: number
  readonly pending: number
  /** Acknowledged and not stored, nor accounted for in any other way. */
  readonly lost: number
  /** What does not add up, in words; empty is right. */
  readonly findings: readonly string[]
}

/**
 * Every record of a run has an identity of its own, so each that is in the log must be a row of the store.
 *
 * @param ended roles that are no more, in words
 */
export function sumOf(counted: Counted, { topics, findings }: Audit, ended: readonly string[] = []): Sum {
  const account = topics.find(({ topic }) => topic === 'telemetry')
  const logged = account?.produced ?? 0
  const { stored = 0, duplicate = 0, not_reported: notReported = 0, dead = 0 } = account?.counts ?? {}
  const pending = account?.pending ?? 0
  const lost = Math.max(0, counted.acknowledged - stored - duplicate - notReported - dead - pending)
  const extra = logged - counted.acknowledged
  const wrong = [
    ...ended,
    ...(lost > 0 ? [`${lost} acknowledged records are lost`] : []),
    ...(pending > 0 ? [`${pending} records were not stored in time`] : []),
    ...(dead > 0 ? [`${dead} records are dead letters`] : []),
    ...(duplicate > 0 ? [`${duplicate} records stand in the log twice, and each was sent once`] : []),
    ...(extra > counted.unanswered
      ? [`the logs have ${extra} records more than were acknowledged, and ${counted.unanswered} went unanswered`]
      : []),
    ...(counted.consumed > logged ? [`${counted.consumed} records were pulled of ${logged}`] : []),
    ...findings,
  ]
  return { ...counted, logged, stored, duplicate, notReported, dead, pending, lost, findings: wrong }
}

/** What is told of a pipeline that does not answer any more. */
const unknown = (why: string): Audit => ({ topics: [], findings: [why] })

/**
 * Waits until the collector has all that the logs have, and gives the last account, also when that takes too long, or when
 * somebody is not there any more.
 */
export async function settled(stack: Stack, forMs: number): Promise<Audit> {
  const deadlineMs = performance.now() + forMs
  for (;;) {
    const audit = await stack.audit().catch((error: Error) => unknown(error.message))
    if ((await stack.ended()).length > 0) return audit
    const isDone = audit.findings.length === 0 && audit.topics.every(({ pending }) => pending === 0)
    if (isDone || performance.now() > deadlineMs) return audit
    await sleep(1_000)
  }
}
