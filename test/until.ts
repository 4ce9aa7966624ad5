/** Waiting for what other processes bring about, and tell nobody of. */

import { setTimeout as sleep } from 'node:timers/promises'

const everyMs = 50

/**
 * Asks again and again until the answer is accepted.
 *
 * @param forMs a last resort against what never comes: else the test would end by its time-out, and say nothing
 * @throws Error with the last answer, when none was accepted in that time
 */
export async function until<T>(
  ask: () => T | Promise<T>,
  isAccepted: (answer: T) => boolean,
  forMs = 600_000,
): Promise<T> {
  const deadlineMs = performance.now() + forMs
  for (;;) {
    const answer = await ask()
    if (isAccepted(answer)) return answer
    if (performance.now() > deadlineMs)
      throw new Error(`not within ${forMs / 1000} s, the last answer: ${JSON.stringify(answer)}`)
    await sleep(everyMs)
  }
}
