/** Layouts of the table of points, by the bare insert. */

import { join } from 'node:path'
import type { Bench } from '../../measure.ts'
import { BareTable, batchRecords } from './bare.ts'

/** The bare table, filled with rows of 2,000 series a second, in the order that they arrive. */
export async function layouts({ quick, folder, report }: Bench): Promise<void> {
  const batches = quick ? 40 : 200
  const rates: Partial<Record<string, number>> = {}
  const keys = { 'time-first': 's, series, ns', 'series-first': 'series, s, ns' }
  for (const [name, key] of Object.entries(keys)) {
    for (const rows of name === 'time-first' ? [1, 20, 200, 1000] : [200]) {
      const table = new BareTable(join(folder, `${name}-${rows}.db`), key, rows)
      const beganMs = performance.now()
      for (let batch = 0; batch < batches; batch++) table.insert(batch)
      rates[`${name}-${rows}`] = (batches * batchRecords * 1000) / (performance.now() - beganMs)
      table.close()
    }
  }
  const rateOf = (name: string): number => rates[name] ?? NaN
  const seriesFirst = { peer: 'series-first', peer_value: rateOf('series-first-200') }
  report({ work: 'layout-time-first', unit: 'rows/s', value: rateOf('time-first-200'), ...seriesFirst })
  const single = { peer: '1-row-a-statement', peer_value: rateOf('time-first-1') }
  for (const rows of [20, 200, 1000]) {
    report({
      work: `${rows}-rows-a-statement`,
      unit: 'rows/s',
      value: rateOf(`time-first-${rows}`),
      ...single,
    })
  }
}
