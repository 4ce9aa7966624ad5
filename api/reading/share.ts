/** Which questions are answered where. */

import { timeOf } from '../ask/parameters.ts'
import { packLike, restored } from '../ask/shared.ts'
import type { Call, Handler } from '../call.ts'
import type { AnswerOf, GpuList } from '../contract.ts'
import type { Bounds } from '../keys/bounds.ts'
import type { Admissions } from './admissions.ts'
import { Ahead } from './ahead.ts'
import type { ReadHandlers, ReadOperation } from './answers.ts'
import type { ReadingThread } from './thread.ts'

/** Of one GPU: handing them over would take longer than answering them. */
const here = ['getGpu', 'listOccupants', 'getGpuTelemetry'] as const satisfies ReadOperation[]
type Here = (typeof here)[number]

/**
 * Hours of one metric that are read at once, some 5 ms of them. A day of one is 24; whatever is longer goes to the thread, like all that
 * is asked of more than one GPU.
 */
const metricHoursMax = 200

/** A GPU has some dozen metrics. */
const metricsGuess = 20

/**
 * The handlers of the thread that speaks HTTP: its own where that is quicker, or the other's.
 *
 * @param unbound what the list for all is asked by
 */
export function shareReads(
  own: ReadHandlers,
  thread: ReadingThread,
  admissions: Admissions,
  unbound: Bounds,
): ReadHandlers {
  const inThread =
    <Name extends ReadOperation>(name: Name): Handler<Name> =>
    async (call) =>
      restored(await admissions.reading.ask(() => thread.ask(name, call), call.signal)) as AnswerOf<Name>
  const inTurn =
    <Name extends Here>(name: Name): Handler<Name> =>
    (call) => {
      const handle = own[name] as unknown as Handler<Name>
      return admissions.http.ask(() => handle(call), call.signal)
    }
  const names = (Object.keys(own) as ReadOperation[]).filter((name) => !here.some((one) => one === name))
  const others = Object.fromEntries(names.map((name) => [name, inThread(name)])) as Omit<ReadHandlers, Here>
  // One at a time, for all who ask: it waits behind nobody.
  const list = new Ahead<GpuList>(async (nowMs, before) => {
    const all = restored(await thread.ask('listGpus', { params: {}, query: {}, nowMs, bounds: unbound })) as GpuList
    // Whoever comes first would else wait until it is compressed.
    await packLike(before, all)
    return all
  })
  const longTelemetry = inThread('getGpuTelemetry')
  const telemetry = inTurn('getGpuTelemetry')
  return {
    ...others,
    getGpu: inTurn('getGpu'),
    listOccupants: inTurn('listOccupants'),
    listGpus(call) {
      const isEverything = Object.values(call.query).every((value) => value === undefined)
      return isEverything && call.bounds.hosts === undefined
        ? admissions.reading.share(() => list.get(call.nowMs))
        : others.listGpus(call)
    },
    getGpuTelemetry: async (call) => (isLong(call) ? longTelemetry(call) : telemetry(call)),
  }
}

/** @throws Problem `bad_parameter` */
function isLong({ query, nowMs }: Call<'getGpuTelemetry'>): boolean {
  // Where a page begins stands in its cursor.
  if (query.cursor !== undefined) return true
  const start = timeOf('start', query.start, nowMs)
  if (start === undefined) return false
  const end = timeOf('end', query.end, nowMs)
  const hours = ((end?.ms ?? nowMs) - start.ms) / 3_600_000
  return hours * (query.metric?.length ?? metricsGuess) > metricHoursMax
}
