/** The rules of `rules/*.yml`, read for those who check, document and scale them. */

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

export interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
  readonly for?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly interval?: string; readonly rules: readonly Rule[] }[]
}

export const rulesFolder = join(import.meta.dirname, 'rules')

/** The files by name, in order. */
export function ruleFiles(): readonly string[] {
  return readdirSync(rulesFolder)
    .filter((name) => name.endsWith('.yml'))
    .toSorted()
}

export function readRules(): readonly Rule[] {
  return ruleFiles().flatMap((name) => {
    const { groups } = parse(readFileSync(join(rulesFolder, name), 'utf8')) as RuleFile
    return groups.flatMap(({ rules }) => rules)
  })
}

/** What is recorded, on one line each. */
export function recorded(): readonly { readonly name: string; readonly expr: string }[] {
  return readRules().flatMap(({ record, expr }) =>
    record === undefined ? [] : [{ name: record, expr: expr.replace(/\s+/g, ' ').trim() }],
  )
}
