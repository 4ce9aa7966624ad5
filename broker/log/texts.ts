/** The records of a batch as texts: for those who want them one by one, and not as a stream. */

import type { StoredBatch } from './types.ts'

const prefix = 'data: '

/** The texts of a batch's records in order; the lines of one are joined by LF. */
export function textsOf({ view }: Pick<StoredBatch, 'view'>): string[] {
  const events = view.toString('utf8', view.indexOf(10) + 1, view.length - 2)
  return events.split('\n\n').map((event) => {
    const data = event.split('\n').filter((line) => line.startsWith(prefix))
    return data.map((line) => line.slice(prefix.length)).join('\n')
  })
}
