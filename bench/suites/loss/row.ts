/** What a row of the table is, before it runs and while it does. */

import { accessSync, constants } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, isAbsolute, join } from 'node:path'

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

const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'penstock')

/** As bench/peers/README.md says. */
export const telegrafPath = join(cache, 'telegraf-1.39.3/telegraf')
export const kafkaFolder = join(cache, 'kafka-4.1.0')

/** What of the programs is not here. */
export function missingOf(needs: readonly string[]): string[] {
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return needs.filter((need) => !(isAbsolute(need) ? [need] : folders.map((each) => join(each, need))).some(isThere))
}

function isThere(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const peersFolder = join(import.meta.dirname, '../../peers')

/** A configuration of bench/peers with its `${NAME}`s filled in, written to the folder; returns where it is. */
export async function configured(
  file: string,
  folder: string,
  values: Readonly<Record<string, string | number>>,
): Promise<string> {
  const template = await readFile(join(peersFolder, file), 'utf8')
  const text = template.replaceAll(/\$\{([A-Z_]+)\}/g, (_, name: string) => {
    const value = values[name]
    if (value === undefined) throw new Error(`bench/peers/${file} asks for ${name}, which nobody gives`)
    return String(value)
  })
  const path = join(folder, file)
  await writeFile(path, text)
  return path
}
