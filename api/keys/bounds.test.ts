/**
 * Keys that are bound to hosts, sites or topics, against every route of the contract: what belongs to others is in no answer.
 * A route that does not say how it honours bounds is closed to them.
 */

import { t as root, test } from 'tap'
import { gpuRecord, transferRecord } from '#store/samples'
import type { TelemetryRecord } from '#telemetry/record'
import { testApi } from '#test/api'
import { startBroker } from '#test/broker'
import { contract } from '../contract.ts'
import type { Endpoint } from '../endpoint.ts'
import { wantsOf } from '../live/stream.ts'
import { Bounds } from './bounds.ts'

const nowMs = Date.parse('2025-07-18T20:43:00Z')
const power = 'DCGM_FI_DEV_POWER_USAGE'
const mine = { uuid: 'GPU-mine', hostname: 'host-mine', namespace: 'ns-mine', pod: 'p', model_name: 'Mine' }
const other = {
  uuid: 'GPU-secret',
  hostname: 'host-secret',
  namespace: 'ns-secret',
  pod: 'pod-secret',
  model_name: 'secret',
}

const records: readonly TelemetryRecord[] = [
  gpuRecord({ metric: power, value: 100, ...mine }),
  gpuRecord({ metric: power, value: 7331, ...other }),
  gpuRecord({ metric: 'DCGM_FI_DEV_GPU_UTIL', value: 7, ...other, gpu_id: '1', device_id: 'nvidia1' }),
  { kind: 'metric', time: '2025-07-18T20:42:34Z', metric: 'rack_secret', value: 7331, tags: { host: 'host-secret' } },
  transferRecord({ id: 'tr-mine', site: 'SITE_MINE' }),
  transferRecord({ id: 'tr-mine-2', site: 'SITE_MINE', time: '2025-07-18T20:42:36Z' }),
  transferRecord({ id: 'tr-secret', site: 'SITE_SECRET', source: 'src-secret', time: '2025-07-18T20:42:35Z' }),
]

const topics = new Map(
  ['telemetry', 'transfers', 'topic-mine', 'topic-secret'].map((name) => [name, { partitions: 1 }]),
)
const broker = await startBroker(root, { topics })
await broker.call('POST', '/dead?topic=topic-secret', '{"reason":"secret","row":"secret"}')
await broker.call('POST', '/dead?topic=telemetry', '{"reason":"row of host-secret","row":"GPU-secret"}')
const api = await testApi(root, { records, nowMs, env: { MSG_QUEUE_ADDR: broker.url } })

const json = { 'content-type': 'application/json' }
const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  api.get(path, { method: 'POST', body: JSON.stringify(body), headers: { ...json, ...headers } })

async function keyFor(bounds: object, scopes = ['read', 'produce', 'consume']): Promise<string> {
  const answer = await post('/api/v1/keys', { name: 'bound', scopes, ...bounds })
  return ((await answer.json()) as { secret: string }).secret
}

const keys: Readonly<Record<string, string>> = {
  host: await keyFor({ hosts: ['host-mine'] }),
  site: await keyFor({ sites: ['SITE_MINE'] }),
  both: await keyFor({ hosts: ['host-mine'], sites: ['SITE_MINE', 'SITE_NONE'] }),
  topic: await keyFor({ topics: ['topic-mine'] }),
  transfers: await keyFor({ topics: ['transfers'] }),
}

/** What parameters of these names are asked for: what belongs to others. */
const foreign: Readonly<Record<string, string>> = {
  host: 'host-secret',
  hostname: 'host-secret',
  gpu: 'GPU-secret',
  uuid: 'GPU-secret',
  model: 'secret',
  namespace: 'ns-secret',
  site: 'SITE_SECRET',
  topic: 'topic-secret',
  metric: power,
  start: '-1d',
}

/** Ways in which a route can be asked for what belongs to others. */
function pathsOf(row: Endpoint): string[] {
  const ids = ['GPU-mine', 'GPU-secret', 'host-secret:0', 'nvidia0', 'SITE_SECRET', 'topic-secret', 'telemetry']
  const names = Object.keys(row.params?.properties ?? {})
  const fill = (path: string, value: string) => names.reduce((filled, name) => filled.replace(`{${name}}`, value), path)
  const own = names.length === 0 ? [row.path] : ids.map((id) => fill(row.path, id))
  const queries = Object.keys(row.query?.properties ?? {}).flatMap((name) => {
    const value = foreign[name]
    return value === undefined ? [] : [`${own[0]}?${name}=${encodeURIComponent(value)}`]
  })
  return [...own, ...queries]
}

for (const [name, row] of Object.entries<Endpoint>(contract)) {
  // A stream does not end; its filter is tested below.
  if (row.events === true) continue
  test(`${name}: a bound key sees nothing of others`, async (t) => {
    const bodies = row.method === 'GET' ? [undefined] : ['{}', '[]', '{"all":true}']
    const leaks: string[] = []
    for (const kind of ['host', 'site', 'both', 'topic'] as const) {
      const headers = { 'x-api-key': keys[kind] as string, ...json }
      const isClosed =
        row.scope === 'admin' || row.bounds === undefined || (row.bounds === 'topics' && kind !== 'topic')
      const asks = pathsOf(row).flatMap((path) => bodies.map((body) => ({ path, body })))
      const look = async ({ path, body }: (typeof asks)[number]) => {
        const answer = await api.get(path, { method: row.method, headers, ...(body === undefined ? {} : { body }) })
        const whole = (await answer.text()).toLowerCase()
        // A link is named by its ends, whether or not there is anything between them.
        const ends = name === 'getLink' ? path.split(/[/?]/).slice(4, 6) : []
        const text = ends.reduce((rest, end) => rest.replace(`_site":"${end.toLowerCase()}"`, ''), whole)
        // What was asked for may be named again by a refusal.
        const asked = answer.ok ? '' : decodeURIComponent(path).toLowerCase()
        const words = [...text.matchAll(/[a-z_-]*secret|7331/g)].map(([word]) => word)
        const others = { host: /site_|tr-/, site: /gpu-|host-/, both: /site_none/, topic: /gpu-|host-|site_|tr-/ }[kind]
        const isLeak = words.some((word) => !asked.includes(word)) || (answer.ok && others.test(text))
        if (isLeak) leaks.push(`${kind}: ${path}: ${answer.status} ${text}`)
        if (isClosed && answer.status !== 403) leaks.push(`${kind}: ${path} is not closed: ${answer.status}`)
      }
      await Promise.all((isClosed ? asks.slice(0, 1) : asks).map(look))
    }
    t.same(leaks, [])
  })
}

test('a bound key sees what it is bound to, and its sums are of that', async (t) => {
  const ask = async (path: string, key: string): Promise<any> =>
    (await api.get(path, { headers: { 'x-api-key': keys[key] as string } })).json()
  t.same(
    (await ask('/api/v1/gpus', 'host')).gpus.map((gpu: any) => gpu.uuid),
    ['GPU-mine'],
  )
  t.match(await ask('/api/v1/fleet', 'host'), { gpus: 1, hosts: 1, power_w: 100, transfers: 0 })
  t.match(await ask('/api/v1/fleet', 'both'), { gpus: 1, power_w: 100, transfers: 2 })
  t.match(await ask('/api/v1/namespaces', 'host'), { namespaces: [{ namespace: 'ns-mine', gpus: 1, pods: 1 }] })
  // nvidia0 is on both hosts: of those that the key sees, one.
  t.match(await ask('/api/v1/gpus/nvidia0', 'host'), { gpu: { uuid: 'GPU-mine' } })
  t.match(await ask('/api/v1/gpus/GPU-mine/telemetry', 'host'), { series: [{ values: [{ value: 100 }] }] })
  t.match(await ask('/api/v1/gpus/GPU-secret', 'host'), { status: 404, code: 'unknown_gpu' })
  for (const fn of ['sum', 'mean', 'min', 'max']) {
    const path = `/api/v1/fleet/history?start=2025-07-18T20:42:00Z&end=2025-07-18T20:43:00Z&window=1m&fn=${fn}`
    t.match(await ask(path, 'host'), { values: [{ value: 100, gpus: 1 }] }, fn)
  }
  const ids = (body: any) => body.transfers.map((each: any) => each.id)
  t.same(ids(await ask('/api/v1/transfers', 'site')), ['tr-mine-2', 'tr-mine'])
  const first = await ask('/api/v1/transfers?limit=1', 'both')
  t.same([ids(first), first.truncated], [['tr-mine-2'], true])
  t.same(ids(await ask(`/api/v1/transfers?limit=1&cursor=${first.cursor}`, 'both')), ['tr-mine'])
  t.equal(
    (await ask('/api/v1/transfers', 'transfers')).transfers.length,
    3,
    'bound to the topic of transfers: all of them',
  )
  t.equal((await ask('/api/v1/gpus', 'transfers')).gpus.length, 0)
  t.match(await ask('/api/v1/models', 'host'), { models: [{ model_name: 'Mine', gpus: 1 }] })
  t.match(await ask(`/api/v1/top?metric=${power}`, 'host'), {
    groups: 1,
    top: [{ group: { gpu: 'GPU-mine' }, value: 100 }],
  })
  t.match(await ask(`/api/v1/query?metric=${power}&fn=mean&over=sum&at=2025-07-18T20:43:00Z`, 'host'), {
    series: [{ gpus: 1, values: [{ value: 100 }] }],
  })
  t.match(await ask('/api/v1/usage', 'host'), { gpus: 1, groups: [{ namespace: '' }, { namespace: 'ns-mine' }] })
  t.match(await ask('/api/v1/freshness', 'host'), { rows: [{ name: 'host-mine', members: 1 }] })
  t.match(await ask('/api/v1/freshness?by=site', 'site'), { rows: [{ name: 'SITE_MINE', members: 2 }] })
  t.match(await ask('/api/v1/transfers/errors', 'site'), { transfers: 2 })
  t.match(await ask('/api/v1/transfers/errors?site=SITE_SECRET', 'site'), { transfers: 0 })
  t.same(
    (await ask('/api/v1/topics', 'topic')).topics.map((topic: any) => topic.name),
    ['topic-mine', 'topic-mine.dead'],
  )
  t.match(await ask('/api/v1/groups', 'topic'), { groups: [] })
})

test('a bound key sends what it is bound to', async (t) => {
  const send = async (key: string, body: object) =>
    (await post('/telemetry', body, { 'x-api-key': keys[key] as string })).json() as Promise<any>
  const record = { metric: 'DCGM_FI_DEV_GPU_TEMP', value: 1, gpu_id: '0' }
  t.match(await send('host', { ...record, hostname: 'host-mine' }), { accepted: 1 })
  t.match(await send('host', { ...record, hostname: 'host-secret' }), {
    code: 'forbidden',
    detail: /host "host-secret"/,
  })
  t.match(
    await send('host', [
      { ...record, hostname: 'host-mine' },
      { ...record, uuid: 'x' },
    ]),
    {
      code: 'forbidden',
      detail: /record 2 of 2/,
    },
  )
  t.match(await send('site', { ...record, hostname: 'host-mine' }), { code: 'forbidden' })
  t.match(await send('transfers', { ...record, hostname: 'host-mine' }), {
    code: 'forbidden',
    detail: /topic telemetry/,
  })
})

test('points of line protocol tell no host: they are for keys that are bound to topics at most', async (t) => {
  const write = async (secret: string | undefined) => {
    const headers = { authorization: `Token ${secret}` }
    const answer = await fetch(`${api.url}/api/v2/write`, {
      method: 'POST',
      body: 'rack,host=host-mine watts=5',
      headers,
    })
    return answer.status
  }
  t.equal(await write(await keyFor({ topics: ['telemetry'] })), 204)
  for (const kind of ['host', 'site', 'topic', 'transfers']) t.equal(await write(keys[kind]), 403, kind)
})

test('letters of a topic are for keys of that topic, and for none that see only a part of it', async (t) => {
  const ask = (key: string, topic: string) =>
    api.json<any>(`/api/v1/dead?topic=${topic}`, { headers: { 'x-api-key': keys[key] as string } })
  t.match(await ask('transfers', 'transfers'), { letters: [] })
  t.match(await ask('transfers', 'telemetry'), { status: 403 })
  t.match(await ask('host', 'telemetry'), { status: 403 })
})

test('the live stream gives a bound key its own records only', (t) => {
  const seen = (given: object) => {
    const bounds = new Bounds(
      { topics: null, hosts: null, sites: null, ...given },
      { gpus: 'telemetry', transfers: 'transfers' },
    )
    const asked = wantsOf({})
    return records.map((record) => bounds.seesRecord(record) && asked(record))
  }
  t.same(seen({ hosts: ['host-mine'] }), [true, false, false, false, false, false, false])
  t.same(seen({ sites: ['SITE_MINE'] }), [false, false, false, false, true, true, false])
  t.same(seen({ topics: ['transfers'] }), [false, false, false, false, true, true, true])
  t.same(seen({ topics: ['telemetry'], hosts: ['host-mine'] }), [true, false, false, false, false, false, false])
  t.same(
    seen({}),
    records.map(() => true),
  )
  t.end()
})
