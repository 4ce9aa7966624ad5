/** What every row goes through, and what is missing afterwards. */

import { setTimeout as sleep } from 'node:timers/promises'

import type { Stored } from './database.ts'
import { Scales, type Peak } from './middle.ts'
import type { Plan } from './plan.ts'
import type { Running } from './row.ts'

/** From one fault to the next: its samples are those that were made in that time. */
export interface Phase {
  /** `database-away`, `link-cut`, `kill`; `calm` before them. */
  readonly name: string
  readonly offered: number
  readonly stored: number
}

export interface Outcome {
  readonly phases: readonly Phase[]
  readonly offered: number
  readonly stored: number
  readonly duplicated: number
  readonly peak: Peak
  /** Whether nothing came any more when it was counted. */
  readonly isSettled: boolean
}

export async function goThrough(running: Running, plan: Plan, say: (text: string) => void): Promise<Outcome> {
  const { load, startMs, parts, folders, database, site } = running
  const scales = new Scales(parts, folders)
  const marks: { name: string; tick: number }[] = []
  const beganMs = performance.now()
  const tell = (text: string) => say(`  ${Math.round((performance.now() - beganMs) / 1_000)} s: ${text}`)
  const enter = (name: string) => {
    tell(name)
    marks.push({ name, tick: load.ticks })
  }
  enter('calm')
  await sleep(plan.warmMs)

  enter('database-away')
  await database.stop()
  await sleep(plan.faultMs)
  await database.start()
  await sleep(plan.restMs)

  enter('link-cut')
  site.cut()
  await sleep(plan.faultMs)
  site.mend()
  await sleep(plan.restMs)

  enter('kill')
  for (const part of parts) {
    tell(`kill -9 ${part.name}`)
    await part.kill()
    await sleep(plan.downMs)
    await part.start()
    await sleep(plan.restMs)
  }
  await load.stop()
  const { ticks } = load
  tell(`the last sample was made; the source holds ${load.held}`)
  const { stored, isSettled } = await settled(running, plan)
  tell(isSettled ? 'at rest' : 'not at rest, and not waited for any longer')
  const peak = await scales.stop()
  const phases = marks.map(({ name, tick }, at) => {
    const to = marks[at + 1]?.tick ?? ticks
    const sum = stored.ofTick.slice(tick, to).reduce((all, count) => all + count, 0)
    return { name, offered: load.offered(tick, to), stored: sum }
  })
  const total = (of: (phase: Phase) => number) => phases.reduce((sum, phase) => sum + of(phase), 0)
  return {
    phases,
    offered: total(({ offered }) => offered),
    stored: total((phase) => phase.stored),
    duplicated: stored.duplicated,
    peak,
    isSettled,
  }

  /** Waits until all is there, or nothing new has come for as long as the plan says, or too long. */
  async function settled(
    { database }: Running,
    { quietMs, settleMsMax }: Plan,
  ): Promise<{ readonly stored: Stored; readonly isSettled: boolean }> {
    const untilMs = performance.now() + settleMsMax
    let written = -1
    let sinceMs = performance.now()
    for (;;) {
      const now = await database.written()
      if (now !== written) sinceMs = performance.now()
      written = now
      const isQuiet = performance.now() - sinceMs > quietMs
      const isOver = performance.now() > untilMs
      // To count is work for the database, so it is asked when it has been at rest for a moment.
      if (isQuiet || isOver || performance.now() - sinceMs > 4_000) {
        const stored = await database.stored(startMs, ticks)
        const count = stored.ofTick.reduce((sum, each) => sum + each, 0)
        if (isQuiet || isOver || count >= load.offered(0, ticks)) return { stored, isSettled: !isOver }
      }
      await sleep(1_000)
    }
  }
}
