/** The suite that every engine passes: transfers summed, against the obvious. */

import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { failedAs } from '#telemetry/outcome'
import type { TransferRecord } from '#telemetry/record'
import { formatTime, type Instant, parseTime } from '#telemetry/time'
import type { EngineUnderTest } from './contract.ts'
import { partOf, transferRecord } from './samples.ts'
import { type TransferGroup, transferGroups, type TransferSumQuery } from './transfer-sums.ts'

const start = Date.parse('2025-07-18T20:00:00Z')
const at = (ms: number): string => formatTime({ ms: start + ms, ns: 0 })
const instant = (ms: number): Instant => ({ ms: start + ms, ns: 0 })

export function transferContract(engine: EngineUnderTest): void {
  const name = (text: string): string => `${engine.name}: ${text}`

  test(name('transfers of a link are summed by window, with what failed and why'), async (t) => {
    const { store } = await engine.open(t)
    const ends = { source_site: 'A', destination_site: 'B' }
    const records = [
      transferRecord({ id: 'a', time: at(1_000), ...ends, bytes: 100, duration_s: 2 }),
      transferRecord({ id: 'b', time: at(2_000), ...ends, bytes: 300, duration_s: 2 }),
      transferRecord({ id: 'c', time: at(3_000), ...ends, bytes: 50, duration_s: null }),
      transferRecord({ id: 'd', time: at(11_000), ...ends, bytes: null, status: 'failed', error: 'no route to host' }),
      transferRecord({ id: 'e', time: at(12_000), ...ends, bytes: 7, status: 'failed', error_class: 'quota' }),
      transferRecord({ id: 'f', time: at(13_000), source_site: 'B', destination_site: 'A' }),
      transferRecord({ id: 'g', time: at(13_000), destination_site: 'B' }),
    ]
    await store.write({ topic: 'transfers', parts: [partOf(records)] })
    const link = { ...ends, windowMs: 10_000 }
    t.match(await store.transferSums({ by: [], ...link }), [
      { time: at(0), group: {}, transfers: 3, failed: 0, bytes: 450, timed_bytes: 400, timed_s: 4, last: at(3_000) },
      { time: at(10_000), transfers: 2, failed: 2, bytes: 7, last: at(12_000), last_error: '' },
    ])
    t.match(await store.transferSums({ by: ['error_class'], ...link, windowMs: undefined }), [
      { time: null, group: { error_class: 'quota' }, transfers: 1, failed: 1 },
      { time: null, group: { error_class: 'unreachable' }, transfers: 1, last_error: 'no route to host' },
      { time: null, group: { error_class: null }, transfers: 3, failed: 0 },
    ])
    t.match(await store.transferSums({ by: ['source_site', 'destination_site'], start: instant(13_000) }), [
      { group: { source_site: 'B', destination_site: 'A' }, transfers: 1 },
      { group: { source_site: null, destination_site: 'B' }, transfers: 1 },
    ])
    t.same(await store.transferSums({ by: ['site'], end: instant(1_000) }), [])
  })

  test(name('sums of transfers are what a list of them says'), async (t) => {
    const end = fc.option(fc.constantFrom('A', 'B', 'é\u2028"'), { nil: undefined })
    const record = fc.record({
      ms: fc.nat(9_999),
      site: fc.constantFrom('A', 'B', ''),
      status: fc.constantFrom('success', 'failed', 'archived', ''),
      error: fc.constantFrom('', 'no space left', 'odd'),
      error_class: fc.option(fc.constantFrom('x', 'y'), { nil: undefined }),
      source_site: end,
      destination_site: end,
      bytes: fc.option(fc.nat(1000)),
      duration_s: fc.option(fc.nat(10)),
    })
    const moment = fc.option(fc.nat(10_000), { nil: undefined })
    const query = fc.record({
      by: fc.subarray([...transferGroups]),
      sites: fc.option(fc.subarray(['A', 'B', '']), { nil: undefined }),
      source_site: fc.option(fc.constant('A'), { nil: undefined }),
      destination_site: fc.option(fc.constant('B'), { nil: undefined }),
      windowMs: fc.option(fc.constantFrom(1000, 1500), { nil: undefined }),
      from: moment,
      to: moment,
    })
    const property = fc.asyncProperty(
      fc.array(record, { maxLength: 30 }),
      fc.array(query, { minLength: 1, maxLength: 4 }),
      async (items, queries) => {
        const { store } = await engine.open(t)
        const records = items.map(({ ms, source_site, destination_site, error_class, ...rest }, index) =>
          transferRecord({
            ...rest,
            id: `t${index}`,
            time: at(ms),
            ...(source_site === undefined ? undefined : { source_site }),
            ...(destination_site === undefined ? undefined : { destination_site }),
            ...(error_class === undefined ? undefined : { error_class }),
          }),
        )
        await store.write({ topic: 'transfers', parts: [partOf(records)] })
        for (const { from, to, ...own } of queries) {
          const bounds = {
            ...(from === undefined ? undefined : { start: instant(from) }),
            ...(to === undefined ? undefined : { end: instant(to) }),
          }
          const found = await store.transferSums({ ...own, ...bounds })
          // Of two that ended at once either error may be the last.
          const given = found.map(({ last_error }) => last_error)
          const wanted = obvious(records, { ...own, ...bounds })
          assert.deepEqual(
            found,
            wanted.map((sum, index) => ({ ...sum, last_error: given[index] })),
          )
        }
      },
    )
    await fc.assert(property, { numRuns: engine.runs ?? 40 })
  })
}

function obvious(records: readonly TransferRecord[], query: TransferSumQuery) {
  const { by, start, end, windowMs } = query
  const msOf = ({ time }: TransferRecord): number => (parseTime(time) as Instant).ms
  const chosen = records.filter(
    (record) =>
      (query.sites === undefined || query.sites.includes(record.site)) &&
      (['source_site', 'destination_site'] as const).every(
        (field) => query[field] === undefined || query[field] === record[field],
      ) &&
      (start === undefined || msOf(record) >= start.ms) &&
      (end === undefined || msOf(record) < end.ms),
  )
  const valueOf = (record: TransferRecord, group: TransferGroup): string | null =>
    group === 'error_class' ? failedAs(record) : (record[group] ?? null)
  const groups = Map.groupBy(chosen, (record) => {
    const place = windowMs === undefined ? 0 : Math.floor(msOf(record) / windowMs)
    return JSON.stringify([place, by.map((group) => valueOf(record, group))])
  })
  const sum = (values: readonly (number | null)[]): number => values.reduce<number>((a, b) => a + (b ?? 0), 0)
  const parsed = [...groups].map(([key, own]) => ({ key: JSON.parse(key) as [number, (string | null)[]], own }))
  parsed.sort((a, b) => a.key[0] - b.key[0] || (JSON.stringify(a.key[1]) < JSON.stringify(b.key[1]) ? -1 : 1))
  return parsed.map(({ key: [place, names], own }) => {
    const timed = own.filter(({ bytes, duration_s }) => bytes !== null && duration_s !== null && duration_s > 0)
    return {
      time: windowMs === undefined ? null : formatTime({ ms: place * windowMs, ns: 0 }),
      group: Object.fromEntries(by.map((group, index) => [group, names[index]])),
      transfers: own.length,
      failed: own.filter((record) => failedAs(record) !== null).length,
      bytes: sum(own.map(({ bytes }) => bytes)),
      duration_s: sum(own.map(({ duration_s }) => duration_s)),
      timed_bytes: sum(timed.map(({ bytes }) => bytes)),
      timed_s: sum(timed.map(({ duration_s }) => duration_s)),
      last: formatTime({ ms: own.map(msOf).reduce((a, b) => Math.max(a, b)), ns: 0 }),
    }
  })
}
