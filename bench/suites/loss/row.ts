/** What a row of the table is, before it runs and while it does. */

import type { Scope } from '#test/start'

import type { Database } from './database.ts'
import type { Load } from './load.ts'
import type { Part } from './middle.ts'
import type { Plan } from './plan.ts'
import type { Relay } from './relay.ts'

export interface Stage {
  readonly scope: Scope
  /** Empty, for this row. */
  readonly folder: string
  readonly plan: Plan
}

export interface Running {
  readonly load: Load
  /** Of the load's first tick, ms since 1970. */
  readonly startMs: number
  /** All that runs in the middle, in the order in which it is killed. */
  readonly parts: readonly Part[]
  /** What the middle keeps on disk. */
  readonly folders: readonly string[]
  readonly database: Database
  /** The cable between the site and what it sends to. */
  readonly site: Relay
}

export interface Row {
  readonly name: string
  /** In the table. */
  readonly title: string
  /** Programs that it cannot do without; paths or commands. */
  readonly needs: readonly string[]
  start(stage: Stage): Promise<Running>
}
