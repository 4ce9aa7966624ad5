/** Our lines under another reader of the protocol: VictoriaMetrics takes them, and says the same of them. */

import fc from 'fast-check'
import { test } from 'tap'
import { gpuRecord, metricRecord } from '../samples.ts'
import { bodiesOf, bodyBytesMax } from './bodies.ts'
import { gpuTags, headOf, metricTags, type Tags } from './lines.ts'
import { Rows } from './rows.ts'
import { freePort } from '#test/influx'
import { type Scope, start, temporaryFolder } from '#test/start'
import { skipWithout, tools } from '#test/tools'

test('VictoriaMetrics takes our lines, tag by tag', { skip: skipWithout(tools.victoriaMetrics) }, async (t) => {
  const url = await victoriaMetrics(t)
  const unusual = [
    ' ',
    ',',
    '=',
    '"',
    "'",
    '\\',
    '\\"',
    '\n',
    '🚰',
    'a=b,c d',
    'é',
    '\u2028',
    '%_',
    ' a ',
    'x'.repeat(200),
  ]
  const texts = [
    ...unusual,
    ...fc.sample(fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }), { numRuns: 100, seed: 1 }),
  ]
  const nowMs = Math.floor(Date.now() / 1000) * 1000
  const rows = new Rows()
  const expected = texts.flatMap((text, index) => {
    const xid = gpuTags(gpuRecord({ uuid: `GPU-${index}`, labels: { xid: text } }))
    const tag = metricTags(metricRecord({ metric: `m${index}`, tags: { [text]: text } }), false)
    return [add('gpu', xid, index / 8), add('metric', tag, -index)]
  })
  function add(measurement: string, tags: Tags, value: number) {
    const at = { ms: nowMs, ns: 0 }
    const state = {
      head: headOf(measurement, tags),
      gpu: undefined,
      newest: { ms: -1, ns: 0 },
      hasValue: undefined,
      row: undefined,
      like: gpuRecord(),
      next: undefined,
      claim: undefined,
    }
    rows.add(state, at, value, undefined)
    return [{ __name__: `${measurement}_value`, ...tags }, value]
  }
  for (const body of bodiesOf(rows.all, 'ns', () => Buffer.alloc(bodyBytesMax))) {
    const written = await fetch(`${url}/write?precision=ns`, { method: 'POST', body })
    t.equal(written.status, 204)
  }
  await fetch(`${url}/internal/force_flush`)
  const exported = await fetch(`${url}/api/v1/export?match[]=${encodeURIComponent('{__name__=~".+"}')}`)
  const got = (await exported.text())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { metric: Tags; values: number[]; timestamps: number[] })
  t.same(new Set(got.flatMap(({ timestamps }) => timestamps)), new Set([nowMs]))
  const sorted = (all: readonly unknown[]): string[] => all.map((one) => JSON.stringify(ordered(one))).sort()
  t.same(sorted(got.map(({ metric, values }) => [metric, values[0]])), sorted(expected))
})

/** Objects with their names in order, so that equal ones are equal as text. */
function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered)
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
}

/** It does not tell the port that it was given, so one is chosen. */
async function victoriaMetrics(t: Scope): Promise<string> {
  const address = `127.0.0.1:${freePort()}`
  const flags = [`-storageDataPath=${temporaryFolder(t)}`, `-httpListenAddr=${address}`, '-retentionPeriod=100y']
  const started = start(t, 'victoria-metrics', flags)
  await started.waitFor(/starting http server/)
  return `http://${address}`
}
