/** The account is right whatever is cut off, and whoever goes on: on each InfluxDB that is there. */

import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { buffer } from 'node:stream/consumers'
import fc from 'fast-check'
import tap, { test } from 'tap'
import { openStore } from '../open.ts'
import { batchOf, gpuRecord, partOf, transferRecord } from '../samples.ts'
import type { Store } from '../store.ts'
import { influx1, influx2, influx3, type InfluxServer, type StartedInflux } from '#test/influx'
import { listen } from '#test/listen'
import type { Scope } from '#test/start'
import { identityOf } from '#telemetry/identity'
import type { TelemetryRecord } from '#telemetry/record'
import { formatTime } from '#telemetry/time'

const startMs = Date.parse('2025-07-18T20:00:00Z')

for (const server of [influx1, influx2, influx3]) {
  if (server.skip === false) suite(server)
  else test(server.name, { skip: server.skip }, async () => undefined)
}

/** What becomes of a write on its way: refused before the server has it, or its answer lost. */
interface Fault {
  /** How many writes go well before. */
  readonly after: number
  readonly kind: 'refused' | 'lost'
}

/** A way to the server on which writes fail as they are told. */
async function wayTo(t: Scope, url: string): Promise<{ url: string; fault: Fault | undefined }> {
  const way: { url: string; fault: Fault | undefined } = { url: '', fault: undefined }
  way.url = await listen(t, async (request, response) => {
    const isWrite = /^(\/api\/v2)?\/write/.test(request.url ?? '')
    const { fault } = way
    const isHit = isWrite && fault?.after === 0
    if (isWrite && fault !== undefined) way.fault = isHit ? undefined : { ...fault, after: fault.after - 1 }
    const body = await buffer(request)
    if (isHit && fault?.kind === 'refused') return void response.writeHead(503).end('{"error":"told to"}')
    const answer = await fetch(url + request.url, {
      method: request.method ?? 'GET',
      headers: headersOf(request),
      ...(body.length === 0 ? {} : { body }),
    })
    const bytes = Buffer.from(await answer.arrayBuffer())
    if (isHit) return void response.destroy()
    const version = answer.headers.get('x-influxdb-version')
    response.writeHead(answer.status, version === null ? {} : { 'x-influxdb-version': version }).end(bytes)
  })
  return way
}

function headersOf({ headers }: IncomingMessage): Record<string, string> {
  const names = ['authorization', 'content-type'] as const
  return Object.fromEntries(names.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]])))
}

function suite(server: InfluxServer): void {
  let starting: Promise<StartedInflux> | undefined
  let buckets = 0

  test(`${server.name}: each record counts once, whatever is cut off and whichever collector goes on`, async (t) => {
    const { settings } = await (starting ??= server.start(tap))
    const way = await wayTo(t, settings.influxdbUrl)
    const item = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({ second: fc.nat(4), metric: fc.constantFrom('A', 'B'), isReported: fc.boolean() }),
      },
      { weight: 1, arbitrary: fc.constantFrom('t1', 't2') },
      { weight: 1, arbitrary: fc.constant('dead' as const) },
    )
    const delivery = fc.record({
      collector: fc.nat(1),
      back: fc.nat(5),
      count: fc.integer({ min: 1, max: 12 }),
      fault: fc.option(fc.record({ after: fc.nat(2), kind: fc.constantFrom('refused' as const, 'lost' as const) }), {
        nil: undefined,
      }),
      restart: fc.nat(4),
    })
    const property = fc.asyncProperty(
      fc.array(item, { minLength: 5, maxLength: 40 }),
      fc.array(delivery, { maxLength: 12 }),
      async (items, deliveries) => {
        const records = items.map((one): TelemetryRecord | undefined => {
          if (one === 'dead') return undefined
          if (typeof one === 'string') return transferRecord({ id: one })
          const { metric, second, isReported } = one
          const time = formatTime({ ms: startMs + second * 1000, ns: 0 })
          return gpuRecord({ metric, time, value: isReported ? second : null, uuid: `GPU-${metric}` })
        })
        const own = { ...settings, influxdbUrl: way.url, dataDir: '', influxdbBucket: `fault${buckets++}` }
        const collectors = [await openStore(own), await openStore(own)]
        let settled = 0
        let known = 0
        const deliver = async (store: Store, from: number, to: number): Promise<void> => {
          await store.write(batchOf(partOf(records.slice(from, to), from)))
          settled = Math.max(settled, to)
        }
        for (const { collector, back, count, fault, restart } of deliveries) {
          const from = Math.max(0, settled - back)
          const to = Math.min(from + count, records.length)
          way.fault = fault
          await deliver(collectors[collector] as Store, from, to).catch((error: Error & { code?: string }) =>
            assert.equal(error.code, 'away', error.message),
          )
          way.fault = undefined
          if (restart === 0) {
            await collectors[collector]?.close()
            collectors[collector] = await openStore(own)
          }
          const { received } = await (collectors[1 - collector] as Store).totals()
          // The answer that was lost may have been the last one: then the account has what the collector does not know of.
          assert.ok(
            received === settled || (fault !== undefined && received === to) || received === known,
            `${received}`,
          )
          known = received
        }
        const [last, other] = collectors as [Store, Store]
        await deliver(last, settled, records.length)
        const totals = await other.totals()
        const kept = records.filter((record): record is TelemetryRecord => record !== undefined)
        assert.equal(totals.received, records.length)
        assert.equal(totals.dead, records.length - kept.length)
        const identities = new Set(kept.map(identityOf))
        assert.equal(totals.stored + totals.not_reported, identities.size)
        assert.equal(totals.duplicate, kept.length - identities.size)
        const rows = await Promise.all(['A', 'B'].map((metric) => other.range({ metric })))
        const points = rows.flat().reduce((sum, { values }) => sum + values.length, 0)
        assert.equal(points + (await other.transfers()).length, identities.size)
        await Promise.all(collectors.map((store) => store.close()))
      },
    )
    await fc.assert(property, { numRuns: process.env['PENSTOCK_TEST_FULL'] === undefined ? 6 : 16 })
  })

  test(`${server.name}: away and back: a store opens without its server, says so, and goes on`, async (t) => {
    const first = await server.start(t)
    const { port } = new URL(first.settings.influxdbUrl)
    await first.kill('SIGKILL')
    const store = await openStore({ ...first.settings, dataDir: '' })
    t.teardown(async () => store.close())
    const batch = batchOf(partOf([gpuRecord()]))
    await t.rejects(store.write(batch), { code: 'away', retry: true, message: /ECONNREFUSED/ })
    await t.rejects(store.latest(), { code: 'away' })
    const second = await server.start(t, undefined, Number(port))
    t.equal(second.settings.influxdbUrl, first.settings.influxdbUrl)
    t.match(await store.write(batch), { stored: 1 })
    await second.kill('SIGKILL')
    await t.rejects(store.write(batch), { code: 'away' })
  })
}
