/** One reader of `GET /api/v1/stream`: its filter, its event stream, its heartbeat. */

import type { Sink } from '#lib/http/http'
import { parseDuration } from '#lib/quantity'
import { metricOf } from '#telemetry/catalogue'
import type { TelemetryRecord } from '#telemetry/record'
import { Problem } from '#wire/problems'
import { formatEvent } from '#wire/sse'
import type { QueryOf } from '../contract.ts'
import type { Bounds } from '../keys/bounds.ts'
import type { Feed } from './feed.ts'
import type { Live, Outlet, Wants } from './live.ts'

const heartbeatMs = 10_000

/** More than this is not gathered for one write. */
const writeCharactersMax = 65_536

const encoder = new TextEncoder()
const heartbeat = encoder.encode(': heartbeat\n\n')

/** @throws Problem `bad_parameter` */
export function streamOptions(query: QueryOf<'stream'>, bounds: Bounds): { wants: Wants; everyMs: number | undefined } {
  const asked = wantsOf(query)
  const wants: Wants = bounds.isBound ? (record) => bounds.seesRecord(record) && asked(record) : asked
  if (query.every === undefined) return { wants, everyMs: undefined }
  const everyMs = parseDuration(query.every)
  if (everyMs !== undefined && everyMs >= 100 && everyMs <= 60_000) return { wants, everyMs }
  const detail = `every=${query.every.slice(0, 100)}: want a duration from 100ms to 60s`
  throw new Problem('bad_parameter', detail, { parameter: 'every' })
}

/** Writes the stream until the sink closes. */
export function serveStream(
  { live, feed }: { readonly live: Live; readonly feed: Feed },
  { wants, everyMs }: ReturnType<typeof streamOptions>,
  lastId: string | undefined,
  sink: Sink,
): void {
  let isFull = false
  let pending = ''
  const flush = () => {
    if (pending === '') return
    isFull = !sink.write(encoder.encode(pending))
    pending = ''
  }
  const outlet: Outlet = {
    event(name, data, id) {
      // Events of one turn go out in one write.
      if (pending === '') queueMicrotask(flush)
      pending += formatEvent({
        ...(name === 'message' ? {} : { event: name }),
        ...(id === undefined ? {} : { id }),
        data,
      })
      if (pending.length > writeCharactersMax) flush()
    },
    get isFull() {
      return isFull
    },
  }
  sink.write(encoder.encode('retry: 2000\n\n'))
  const reader = live.open(outlet, wants, everyMs !== undefined, lastId)
  feed.wake()
  const beat = setInterval(() => {
    if (!isFull) sink.write(heartbeat)
  }, heartbeatMs)
  const gather = everyMs === undefined ? undefined : setInterval(() => reader.flush(), everyMs)
  sink.onDrain(() => {
    isFull = false
    reader.pump()
  })
  sink.onClose(() => {
    clearInterval(beat)
    clearInterval(gather)
    live.close(reader)
    feed.rest()
  })
}

/** A filter by fields of one kind wants records of that kind only. */
export function wantsOf({ kind, host, gpu, namespace, metric, site }: QueryOf<'stream'>): Wants {
  const metrics = metric === undefined ? undefined : new Set(metric.map((name) => metricOf(name)?.metric.name ?? name))
  const ofGpus = host !== undefined || gpu !== undefined || namespace !== undefined
  return (record: TelemetryRecord) => {
    if (kind !== undefined && record.kind !== kind) return false
    if (ofGpus && record.kind !== 'gpu') return false
    if (site !== undefined && (record.kind !== 'transfer' || record.site !== site)) return false
    if (metrics !== undefined && (record.kind === 'transfer' || !metrics.has(record.metric))) return false
    if (record.kind !== 'gpu') return true
    if (host !== undefined && record.hostname !== host) return false
    if (namespace !== undefined && record.namespace !== namespace) return false
    return gpu === undefined || record.uuid === gpu || `${record.hostname}:${record.gpu_id}` === gpu
  }
}
