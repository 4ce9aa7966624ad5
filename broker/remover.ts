/** Retention, carried out: what `log/retention.ts` decides is removed, counted where a group loses by it, and told. */

import type { Log } from './log/log.ts'
import { planRetention, type GroupFloor, type RetentionPlan } from './log/retention.ts'
import { folderName } from './log/types.ts'
import type { Topic } from './topic.ts'

export class Remover {
  readonly #onLost: (topic: string, group: string, records: number) => void
  readonly #report: (problem: string) => void
  /** Logs of which something could not be removed: told once, until it can. */
  readonly #failing = new Set<string>()

  constructor(onLost: (topic: string, group: string, records: number) => void, report: (problem: string) => void) {
    this.#onLost = onLost
    this.#report = report
  }

  /**
   * Removes what need not be kept of a topic. Not while it is opened anew.
   *
   * @param isDiskFull nothing is produced until there is room
   */
  async tend(topic: Topic, nowMs: number, isDiskFull: boolean): Promise<void> {
    for (const log of topic.logs) {
      if (!log.writable) continue
      try {
        await this.#tendLog(topic, log, nowMs, isDiskFull)
        this.#failing.delete(folderName(log))
      } catch (error) {
        if (!this.#failing.has(folderName(log))) {
          this.#report(`${folderName(log)}: what is not kept cannot be removed: ${(error as Error).message}`)
        }
        this.#failing.add(folderName(log))
      }
    }
  }

  async #tendLog(topic: Topic, log: Log, nowMs: number, isDiskFull: boolean): Promise<void> {
    const decide = (): RetentionPlan =>
      planRetention({
        segments: log.segments,
        limits: topic.options,
        groups: floorsOf(topic, log),
        nowMs,
        isPressed: isDiskFull || log.bytes >= topic.options.maxBytes,
      })
    let plan = decide()
    if (plan.roll) {
      await log.roll()
      plan = decide()
    }
    const { dropBefore, lost } = plan
    if (dropBefore === undefined) return
    // Counted before it is done: what is acknowledged in between was still not acknowledged when this was decided.
    for (const [group, records] of lost) {
      topic.count(group, records)
      this.#onLost(topic.name, group, records)
      this.#report(`${folderName(log)}: group ${group} loses ${records} records that are older than retention_age`)
    }
    await log.dropBefore(dropBefore)
    for (const group of topic.groups.all) group.removed(log.partition, log.first)
  }
}

function floorsOf(topic: Topic, log: Log): GroupFloor[] {
  return topic.groups.all.map((group) => ({ name: group.name, ...group.progress(log.partition) }))
}
