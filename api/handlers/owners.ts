/** `/gpus/{id}/occupants` and `/usage`: whose GPUs were, and what they did for them. */

import type { OwnerRow } from '#store/store'
import { formatTime, type Instant, parseTime } from '#telemetry/time'
import { readTexts, writeCursor } from '../ask/cursor.ts'
import { referenceOf } from '../ask/gpus.ts'
import { type Dimension, heldBy, readGroupBy } from '../ask/groups.ts'
import type { BoundInventory, Inventory } from '../ask/inventory.ts'
import { endFor } from '../ask/newest.ts'
import { at, bad, rangeOf, timeOf, windowOf } from '../ask/parameters.ts'
import { turn } from '../ask/pieces.ts'
import type { BoundReader, StoreReader } from '../ask/reader.ts'
import { isBefore, minus, parsed } from '../ask/times.ts'
import { type Amounts, UsageAccount, usageMetrics } from '../ask/usage.ts'
import type { Call, Handlers } from '../call.ts'
import type { AnswerOf } from '../contract.ts'

const usageMsDefault = 86_400_000
const windowMsDefault = 300_000

/** Windows of GPUs that usage is made of, and how many of them are in memory at once. */
const cellsMax = 2_000_000
const pieceCells = 50_000

/** So far before the range the first step to a value in it may begin: longer ones are gaps (`store/windows.ts`). */
const lookBackMs = 300_000

export function ownerHandlers(reader: StoreReader, inventory: Inventory): Handlers<'listOccupants' | 'getUsage'> {
  return {
    listOccupants: (call) => occupantsOf(reader.within(call.bounds), inventory.within(call.bounds), call),
    getUsage: (call) => usageOf(reader.within(call.bounds), inventory.within(call.bounds), call),
  }
}

async function occupantsOf(
  reader: BoundReader,
  inventory: BoundInventory,
  { params, query, nowMs }: Call<'listOccupants'>,
): Promise<AnswerOf<'listOccupants'>> {
  const row = await inventory.theGpu(params.id)
  const start = timeOf('start', query.start, nowMs)
  const end = timeOf('end', query.end, nowMs)
  if (start !== undefined && end !== undefined) rangeOf(start, end)
  const place = query.cursor === undefined ? undefined : parsed(readTexts(query.cursor, 1)?.[0])
  if (query.cursor !== undefined && place === undefined) throw bad('cursor', 'cursor: want one of an answer before')
  const { uuid, gpu_i_id } = row
  const rows = await reader.ask((store) => store.owners({ uuid, gpu_i_id, start, end }), [])
  const behind = rows.filter(({ from }) => place === undefined || isBefore(place, parseTime(from) as Instant))
  const { limit = 100 } = query
  const page = behind.slice(0, limit)
  const truncated = behind.length > limit
  return {
    as_of: at(nowMs),
    gpu: referenceOf(row),
    occupants: page.map(occupantOf),
    truncated,
    cursor: truncated ? writeCursor([page.at(-1)?.from ?? '']) : null,
  }
}

function occupantOf({ namespace, pod, container, hpc_job: job, user, from, to }: OwnerRow) {
  return { namespace, pod, container, job, user, from, to }
}

const usageDimensions = ['namespace', 'pod', 'job', 'user', 'host', 'model'] as const satisfies Dimension[]

async function usageOf(
  reader: BoundReader,
  inventory: BoundInventory,
  { query, nowMs }: Call<'getUsage'>,
): Promise<AnswerOf<'getUsage'>> {
  const by = readGroupBy(query.group_by ?? 'namespace', usageDimensions)
  const range = await rangeOfUsage(reader, query, nowMs)
  const { start, end, windowMs } = range
  const gpus = await inventory.gpus({}, nowMs)
  const windows = (end.ms - start.ms) / windowMs
  bound(gpus.length, windows, end.ms - start.ms)
  const held = heldBy(await reader.ask((store) => store.owners({ start, end }), []))
  const endMs = Math.min(end.ms, Math.max(nowMs, start.ms))
  const account = new UsageAccount({ windowMs, startMs: start.ms, endMs }, by, held)
  const byUuid = [...Map.groupBy(gpus, ({ uuid }) => uuid).values()]
  const size = Math.max(1, Math.min(500, Math.floor(pieceCells / windows)))
  for (let from = 0; from < byUuid.length; from += size) {
    const piece = byUuid.slice(from, from + size).flat()
    const uuids = [...new Set(piece.map(({ uuid }) => uuid))]
    const series = []
    for (const { metric, fn } of usageMetrics) {
      const steps = fn === 'max' ? { start } : { start: minus(start, lookBackMs), answerFrom: start }
      const ask = { metric, fn, uuids, ...steps, end, windowMs, limit: windows }
      series.push(...(await reader.ask((store) => store.range(ask), [])))
      await turn()
    }
    account.add(piece, series)
  }
  const { limit = 1_000 } = query
  const behind = account.groups.filter(({ key }) => range.after === undefined || key > range.after)
  const page = behind.slice(0, limit)
  const truncated = behind.length > limit
  const next = [formatTime(start), formatTime(end), String(windowMs), page.at(-1)?.key ?? '']
  return {
    as_of: at(nowMs),
    start: formatTime(start),
    end: formatTime(end),
    window_s: windowMs / 1000,
    group_by: [...by],
    gpus: account.gpus,
    total: amountsOf(account.total),
    groups: page.map(({ group, amounts }) => ({ ...group, ...amountsOf(amounts) })),
    truncated,
    cursor: truncated ? writeCursor(next) : null,
  }
}

/** In whole windows. @throws Problem `bad_parameter` */
async function rangeOfUsage(reader: BoundReader, query: Call<'getUsage'>['query'], nowMs: number) {
  if (query.cursor !== undefined) {
    const [from, to, length, key] = readTexts(query.cursor, 4) ?? []
    const [start, end, windowMs] = [parsed(from), parsed(to), Number(length)]
    const isRange = start !== undefined && end !== undefined && isBefore(start, end) && Number.isSafeInteger(windowMs)
    if (isRange && windowMs > 0 && (end.ms - start.ms) % windowMs === 0 && key !== undefined) {
      return { start, end, windowMs, after: key }
    }
    throw bad('cursor', 'cursor: want one of an answer before')
  }
  const windowMs = windowOf(query.window) ?? windowMsDefault
  const from = timeOf('start', query.start, nowMs)
  const end = timeOf('end', query.end, nowMs) ?? (await endFor(reader, from, nowMs))
  const start = from ?? minus(end, usageMsDefault)
  rangeOf(start, end)
  const startMs = Math.floor(start.ms / windowMs) * windowMs
  const endMs = Math.ceil((end.ms + (end.ns > 0 ? 1 : 0)) / windowMs) * windowMs
  return { start: { ms: startMs, ns: 0 }, end: { ms: endMs, ns: 0 }, windowMs, after: undefined }
}

/** @throws Problem `bad_parameter` */
function bound(gpus: number, windows: number, rangeMs: number): void {
  if (gpus * windows <= cellsMax) return
  const least = Math.ceil((gpus * rangeMs) / cellsMax / 1000)
  const what = `${gpus} GPUs x ${windows} windows are more than ${cellsMax}`
  throw bad('window', `${what}: want windows of ${least}s at least, or a shorter range`)
}

function amountsOf(amounts: Amounts): AnswerOf<'getUsage'>['total'] {
  const hours = (ms: number): number => ms / 3_600_000
  return {
    gpu_hours: hours(amounts.gpuMs),
    allocated_gpu_hours: hours(amounts.allocatedMs),
    active_gpu_hours: hours(amounts.activeMs),
    idle_gpu_hours: hours(amounts.idleMs),
    unknown_gpu_hours: hours(amounts.unknownMs),
    metered_gpu_hours: hours(amounts.meteredMs),
    energy_kwh: amounts.meteredMs > 0 ? amounts.joules / 3_600_000 : null,
  }
}
