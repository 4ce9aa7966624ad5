/** The settings of the roles as this environment and these flags have them: each read by itself, so that a wrong one hides no other. */

import { fileSettingOf, flagOf, readSettings, type Setting, SettingsError, type SettingTable } from '#lib/settings'
import type { Io } from '../command.ts'

export class Config {
  readonly env: Io['env']
  readonly #flags: Readonly<Record<string, string>>

  constructor(env: Io['env'], flags: Readonly<Record<string, string>> = {}) {
    this.env = env
    this.#flags = flags
  }

  /** Whether a person has set it, rather than the default. */
  isGiven(row: Setting<unknown>): boolean {
    return this.#textOf(row.name) !== undefined
  }

  /** The path of the file that holds it, where one was named. */
  fileOf(row: Setting<unknown>): string | undefined {
    return this.#textOf(fileSettingOf(row).name)
  }

  /** Its value; that of the default where it is wrong, which the look at the settings tells. */
  value<T>(row: Setting<T>): T {
    try {
      return this.#read(row)
    } catch (error) {
      if (!(error instanceof SettingsError)) throw error
      return readSettings({ row }, { env: {} }).row
    }
  }

  /** The values of a table. */
  values<Table extends SettingTable>(
    table: Table,
  ): { readonly [Key in keyof Table]: Table[Key] extends Setting<infer T> ? T : never } {
    const values = Object.entries(table).map(([key, row]) => [key, this.value(row as Setting<unknown>)])
    return Object.fromEntries(values) as {
      readonly [Key in keyof Table]: Table[Key] extends Setting<infer T> ? T : never
    }
  }

  /** Why its value cannot be used; `undefined`: it can. */
  wrongOf(row: Setting<unknown>): string | undefined {
    try {
      this.#read(row)
      return undefined
    } catch (error) {
      if (error instanceof SettingsError) return error.lines[0]
      throw error
    }
  }

  #read<T>(row: Setting<T>): T {
    return readSettings({ row }, { env: this.env, flags: this.#flags }).row
  }

  #textOf(name: string): string | undefined {
    const texts = [this.#flags[flagOf({ name }).slice(2)], this.env[`PENSTOCK_${name}`], this.env[name]]
    return texts.find((text) => text !== undefined && text !== '')
  }
}
