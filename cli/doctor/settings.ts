/** Variables that no role knows, and values that no role takes. */

import { nearest } from '#lib/http/query'
import { fileSettingOf, type Setting, SettingsError, type SettingTable } from '#lib/settings'
import type { Config } from './config.ts'
import { countOf, type Finding, findingsOf } from './finding.ts'

const { ok, warning, problem } = findingsOf('settings')

const prefix = 'PENSTOCK_'

/** What the program itself, and its tests, hand to its processes. */
const internal = /^PENSTOCK_(PARENT_PIPE|FLOOD|TEST_\w+)$/

/** What Kubernetes gives every container for a service whose name begins with `penstock-`. */
const serviceLink = /^PENSTOCK_(\w+_)?(SERVICE_(HOST|PORT\w*)|PORT_\d+_\w+)$|^PENSTOCK_\w+_PORT$/

/** A shorter name without the prefix may as well be another program's. */
const bareCharactersMin = 8

/** Two letters changed about are two edits. */
const bareEditsMax = 2

/**
 * Names of variables that look as if they were meant for a role, and are not.
 *
 * @param known without prefix
 */
export function judgeNames(names: readonly string[], known: readonly string[]): Finding[] {
  const isKnown = new Set(known)
  return names.toSorted().flatMap((name): Finding[] => {
    if (name.startsWith(prefix)) {
      const bare = name.slice(prefix.length)
      if (isKnown.has(bare) || internal.test(name) || serviceLink.test(name)) return []
      const meant = nearest(bare, known)
      const mend =
        meant === undefined
          ? 'take it away: penstock ROLE --help lists the settings'
          : `did you mean ${prefix}${meant}?`
      return [problem(`${name} is no setting of any role, so it does nothing`, mend)]
    }
    if (isKnown.has(name) || name.length < bareCharactersMin) return []
    const meant = nearest(name, known, bareEditsMax)
    return meant === undefined
      ? []
      : [warning(`${name} is no setting, and its name is close to one`, `did you mean ${meant}?`)]
  })
}

/** How a wrong value is told. */
export function judgeValue(row: Setting<unknown>, line: string): Finding {
  // A service called `penstock`: Kubernetes sets PENSTOCK_PORT, and that wins over PORT.
  if (row.name === 'PORT' && line.startsWith('PENSTOCK_PORT=tcp://')) {
    return problem(
      line,
      'Kubernetes set it for a service: set enableServiceLinks: false, or name the service otherwise',
    )
  }
  const file = fileSettingOf(row).name
  return problem(
    line,
    row.secret === true ? `set ${row.name}, or ${file} to a file that can be read` : `set ${row.name} so`,
  )
}

/** @param contradictions throw a SettingsError where settings that are right one by one do not fit together */
export function lookAtSettings(
  config: Config,
  tables: readonly SettingTable[],
  alsoKnown: readonly string[],
  contradictions: readonly (() => unknown)[],
): Finding[] {
  const rows = tables.flatMap((table) => Object.values(table))
  const known = rows.flatMap((row) => [row.name, ...(row.secret === true ? [fileSettingOf(row).name] : [])])
  const given = Object.keys(config.env).filter((name) => config.env[name] !== undefined)
  const names = judgeNames(given, [...new Set([...known, ...alsoKnown])])
  const wrong = new Map<string, Finding>()
  for (const row of rows) {
    const line = config.wrongOf(row)
    // Several roles take it, and each refuses it.
    if (line !== undefined && !wrong.has(row.name)) wrong.set(row.name, judgeValue(row, line))
  }
  const findings = [...names, ...wrong.values(), ...contradictions.flatMap(contradictionOf)]
  const count = new Set(rows.filter((row) => config.isGiven(row)).map(({ name }) => name)).size
  return findings.length > 0
    ? findings
    : [ok(count === 0 ? 'all are the defaults' : `${countOf(count, 'setting')} given, all are right`)]
}

function contradictionOf(check: () => unknown): Finding[] {
  try {
    check()
    return []
  } catch (error) {
    if (error instanceof SettingsError)
      return error.lines.map((line) => problem(line, 'a role with these ends at its start'))
    throw error
  }
}
