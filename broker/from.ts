/** Where to begin, as clients say it: `earliest`, `latest`, a time, or the ids after which. */

import { parseId, type Offset, type Partition } from '#wire/ids'
import { Problem } from '#wire/problems'

import type { Broker } from './broker.ts'
import type { Log } from './log/log.ts'

/**
 * The first offset in each log that something is said of; none where it is the end.
 *
 * @throws Problem `bad_parameter`, `cursor_needed`, `wrong_broker`, `unknown_partition`
 */
export async function startsOf(
  from: string,
  logs: readonly Log[],
  broker: Broker,
): Promise<ReadonlyMap<Partition, Offset>> {
  if (from === 'latest') return new Map()
  if (from === 'earliest') return new Map(logs.map((log) => [log.partition, log.first]))
  const timeMs = /^\d{4}-/.test(from) ? Date.parse(from) : NaN
  if (Number.isNaN(timeMs)) return afterIds(from, logs, broker)
  return new Map(await Promise.all(logs.map(async (log) => [log.partition, await log.offsetAt(timeMs)] as const)))
}

/** Whether it names logs one by one. */
export function areIds(from: string): boolean {
  return from !== 'latest' && from !== 'earliest' && !/^\d{4}-/.test(from)
}

/** After the ids, one a log. A bare offset will do where there is one log. */
function afterIds(from: string, logs: readonly Log[], broker: Broker): ReadonlyMap<Partition, Offset> {
  const starts = new Map<Partition, Offset>()
  for (const text of from.split(',')) {
    const bare = /^\d{1,15}$/.test(text)
    if (bare && logs.length !== 1)
      throw new Problem('cursor_needed', `${text} is an offset, and there are ${logs.length} logs`)
    const id = bare
      ? { broker: broker.ordinal, partition: (logs[0] as Log).partition, offset: Number(text) as Offset }
      : parseId(text)
    if (id === undefined) {
      throw new Problem(
        'bad_parameter',
        `from=${from}: want earliest, latest, an RFC 3339 time, or ids such as 0/3/1234`,
      )
    }
    if (id.broker !== broker.ordinal) {
      throw new Problem('wrong_broker', `${text} is of broker ${id.broker}, this is broker ${broker.ordinal}`)
    }
    const log = logs.find((each) => each.partition === id.partition)
    if (log === undefined) throw new Problem('unknown_partition', `${text} is of no partition of this stream`)
    // Not moved up to the first record: what was removed meanwhile is to be told.
    starts.set(id.partition, Math.min(id.offset + 1, log.end) as Offset)
  }
  return starts
}
