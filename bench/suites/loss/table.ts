/** The table that nothing is to be missing from, in Markdown. */

import { markdown } from '../../load/markdown.ts'
import type { Outcome } from './faults.ts'
import type { FileOutcome } from './sample-file.ts'

export interface TitledOutcome extends Outcome {
  readonly title: string
}

const columns = 'offered|stored|lost|away|cut|kill|given twice|memory MiB|disk MiB'.split('|')

export function lossTable(rows: readonly TitledOutcome[]): string {
  return markdown(
    ['in the middle', ...columns],
    rows.map((row) => {
      const lostIn = (name: string) => {
        const phase = row.phases.find((each) => each.name === name)
        return number((phase?.offered ?? 0) - (phase?.stored ?? 0))
      }
      return [
        row.title,
        number(row.offered),
        number(row.stored),
        `**${number(row.offered - row.stored)}**${row.isSettled ? '' : ' (not at rest)'}`,
        lostIn('database-away'),
        lostIn('link-cut'),
        lostIn('kill'),
        number(row.duplicated),
        mebibytes(row.peak.memoryBytes),
        mebibytes(row.peak.diskBytes),
      ]
    }),
  )
}

export function fileTable(rows: readonly FileOutcome[]): string {
  return markdown(
    ['one file', 'rows with a number', 'stored', 'lost'],
    rows.map(({ title, rows: all, stored }) => [title, number(all), number(stored), `**${number(all - stored)}**`]),
  )
}

function number(value: number): string {
  return value.toLocaleString('en-US')
}

function mebibytes(bytes: number): string {
  return number(Math.round(bytes / 2 ** 20))
}
