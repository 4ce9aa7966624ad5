import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { test } from 'tap'
import { batchOf, gpuRecord, metricRecord, partOf } from '../samples.ts'
import { EmbeddedStore } from './engine.ts'

interface Scope {
  teardown(callback: () => unknown): void
}

const lists = async (store: EmbeddedStore) => ({
  latest: await store.latest(),
  ofMetric: await store.latest({ metric: 'A' }),
  gpus: await store.gpus(),
  hosts: await store.hosts(),
  namespaces: await store.namespaces(),
})

test('a reader that stays open lists what one that was just opened does, whatever was written between', async (t) => {
  const record = fc.record({
    gpu: fc.nat(20),
    metric: fc.constantFrom('A', 'B', 'C'),
    host: fc.nat(2),
    pod: fc.constantFrom('', 'p', 'q'),
    driver: fc.constantFrom('1', '2'),
    xid: fc.constantFrom('', '', '31'),
    second: fc.nat(50),
    value: fc.option(fc.nat(5)),
  })
  const batches = fc.array(fc.array(record, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 8 })
  const property = fc.asyncProperty(batches, async (given) => {
    const path = pathOf(t)
    const store = await EmbeddedStore.open(path)
    const reader = await EmbeddedStore.open(path, { readOnly: true })
    let offset = 0
    for (const batch of given) {
      const records = batch.map(({ gpu, metric, host, pod, driver, xid, second, value }) =>
        gpuRecord({
          uuid: `GPU-${gpu}`,
          gpu_id: String(gpu),
          metric,
          hostname: `host-${host}`,
          pod,
          namespace: pod,
          labels: xid === '' ? { driver } : { driver, xid },
          time: new Date(second * 1000).toISOString(),
          value,
        }),
      )
      await store.write(batchOf(partOf(records, offset)))
      offset += records.length
      const fresh = await EmbeddedStore.open(path, { readOnly: true })
      const expected = await lists(fresh)
      assert.deepEqual(await lists(reader), expected)
      assert.deepEqual(await lists(store), expected)
      await fresh.close()
    }
    await reader.close()
    await store.close()
  })
  await fc.assert(property, { numRuns: 15 })
})

test('what is asked of a few GPUs is that part of what is asked of all', async (t) => {
  const store = await EmbeddedStore.open(pathOf(t))
  t.teardown(() => store.close())
  const records = Array.from({ length: 120 }, (_, n) =>
    gpuRecord({
      uuid: `GPU-${n % 40}`,
      gpu_i_id: n % 40 === 3 ? String(n) : '',
      hostname: `host-${n % 20}`,
      namespace: n % 20 === 7 ? 'team' : '',
      metric: 'ABC'[n % 3] as string,
      labels: n % 5 === 0 ? { driver: '1', xid: String(n) } : { driver: '2' },
      time: new Date(n * 1000).toISOString(),
      value: n % 11 === 0 ? null : n,
    }),
  )
  await store.write(batchOf(partOf([...records, metricRecord()])))
  const [rows, gpus] = [await store.latest(), await store.gpus()]
  t.equal(rows.length, 121)
  t.match(rows[0], { kind: 'metric', uuid: '' }, 'what belongs to no GPU comes first')
  for (const filter of [{ uuid: 'GPU-3' }, { hostname: 'host-7' }, { namespace: 'team' }, { namespace: '' }] as const) {
    const [[name, value] = []] = Object.entries(filter)
    const isAsked = (row: object) => (row as Record<string, unknown>)[name as string] === value
    const ofGpus = rows.filter((row) => row.kind === 'gpu' && isAsked(row))
    t.same(await store.latest(filter), ofGpus, JSON.stringify(filter))
    t.same(
      await store.latest({ ...filter, metric: 'B' }),
      ofGpus.filter(({ metric }) => metric === 'B'),
    )
    t.same(await store.gpus(filter), gpus.filter(isAsked))
  }
  t.same(await store.latest({ uuid: 'GPU-unknown' }), [])
  t.same(await store.latest({ metric: 'unknown' }), [])
})

function pathOf(t: Scope): string {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-embedded-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'penstock.db')
}
