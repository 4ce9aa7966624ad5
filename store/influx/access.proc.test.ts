/** Who may write, and what: authorisation, and the server's own retention. */

import { test } from 'tap'
import { openStore } from '../open.ts'
import { batchOf, gpuRecord, partOf } from '../samples.ts'
import { influx1, influx2 } from '#test/influx'

const batch = batchOf(partOf([gpuRecord()]))

test('influx1: a user writes who may make the databases, or was granted them', { skip: influx1.skip }, async (t) => {
  const { settings } = await influx1.start(t, undefined, 0, { INFLUXDB_HTTP_AUTH_ENABLED: 'true' })
  const as = async (influxdbToken: string) => {
    const store = await openStore({ ...settings, influxdbToken, dataDir: '' })
    t.teardown(async () => store.close())
    return store
  }
  const query = async (q: string, user = ''): Promise<void> => {
    const headers = { authorization: `Basic ${Buffer.from(user).toString('base64')}` }
    const answer = await fetch(`${settings.influxdbUrl}/query?${new URLSearchParams({ q }).toString()}`, {
      method: 'POST',
      headers,
    })
    t.equal(answer.status, 200, q)
  }
  await query("CREATE USER root WITH PASSWORD 'r:t' WITH ALL PRIVILEGES")
  await query("CREATE USER penstock WITH PASSWORD 'p'", 'root:r:t')
  const penstock = await as('penstock:p')
  await t.rejects(penstock.write(batch), { code: 'denied', retry: true })
  await t.rejects((await as('penstock:wrong')).write(batch), { code: 'denied' })
  await t.rejects((await openStore({ ...settings, dataDir: '' })).totals(), { code: 'denied' })
  t.match(await (await as('root:r:t')).write(batch), { stored: 1 })
  await query('GRANT ALL ON telemetry TO penstock; GRANT ALL ON telemetry_state TO penstock', 'root:r:t')
  t.match(await penstock.write(batchOf(partOf([gpuRecord()], 1))), { duplicate: 1 }, 'without another start')
  t.match(await penstock.rows(), { kept: 1, removed: 0 }, 'and may ask whether anything is removed')
})

test(
  'influx1: what the server refuses is told in its words, and its neighbours go in without it',
  { skip: influx1.skip },
  async (t) => {
    const { settings } = await influx1.start(t)
    const q = 'CREATE DATABASE telemetry WITH DURATION 1h'
    await fetch(`${settings.influxdbUrl}/query?${new URLSearchParams({ q }).toString()}`, { method: 'POST' })
    const store = await openStore({ ...settings, dataDir: '' })
    t.teardown(async () => store.close())
    const old = gpuRecord({ time: new Date(Date.now() - 7_200_000).toISOString() })
    const fresh = gpuRecord({ time: new Date(Date.now() - 60_000).toISOString() })
    await t.rejects(store.write(batchOf(partOf([old, fresh]))), {
      code: 'refused',
      retry: false,
      message: /beyond retention/,
    })
    t.equal((await store.totals()).received, 0)
    const without = partOf([undefined, fresh])
    t.match(await store.write(batchOf(without)), { stored: 1, duplicate: 0, dead: 1 }, 'its point was there by now')
    t.equal(await store.rows(), undefined, 'what the server removes, nobody counts')
  },
)

test('influx2: a wrong token is denied, a right one makes what it needs', { skip: influx2.skip }, async (t) => {
  const { settings } = await influx2.start(t)
  const open = async (influxdbToken: string) => {
    const store = await openStore({ ...settings, influxdbToken, dataDir: '' })
    t.teardown(async () => store.close())
    return store
  }
  await t.rejects((await open('wrong')).write(batch), { code: 'denied', retry: true })
  const all = await open(settings.influxdbToken ?? '')
  t.match(await all.write(batch), { stored: 1 })
  // One that was built out of its sources has no number.
  t.match(all.engine, /^InfluxDB 2/)
  const headers = { authorization: `Token ${settings.influxdbToken}`, 'content-type': 'application/json' }
  const buckets = `${settings.influxdbUrl}/api/v2/buckets`
  const found = (await (await fetch(`${buckets}?name=telemetry`, { headers })).json()) as { buckets: { id: string }[] }
  t.match(await all.rows(), { kept: 1, removed: 0 })
  const body = JSON.stringify({ retentionRules: [{ type: 'expire', everySeconds: 1e9 }] })
  await fetch(`${buckets}/${found.buckets[0]?.id}`, { method: 'PATCH', headers, body })
  t.equal(await all.rows(), undefined, 'what the server removes, nobody counts')
})
