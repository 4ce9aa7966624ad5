import { t as root, test } from 'tap'
import { gpuRecord } from '#store/samples'
import { testApi } from '#test/api'

const nowMs = Date.parse('2025-07-18T20:43:00Z')
const time = (agoS: number) => new Date(nowMs - agoS * 1000).toISOString()
const engine = 'DCGM_FI_PROF_GR_ENGINE_ACTIVE'
const utilisation = 'DCGM_FI_DEV_GPU_UTIL'
const power = 'DCGM_FI_DEV_POWER_USAGE'

const gpu = (uuid: string, metric: string, value: number | null, agoS = 10, more: object = {}) =>
  gpuRecord({ uuid, gpu_id: uuid, metric, value, time: time(agoS), ...more })

const records = [
  gpu('busy', utilisation, 3),
  gpu('idle', utilisation, 0),
  // The engine says better than utilisation does.
  gpu('engine', engine, 0.2),
  gpu('engine', utilisation, 0),
  gpu('unsaid', engine, null),
  gpu('unsaid', utilisation, null),
  gpu('fallback', engine, null),
  gpu('fallback', utilisation, 0),
  gpu('old', utilisation, 100, 600),
  // Only its power is fresh.
  gpu('unknown', power, 300),
  gpu('unknown', utilisation, 100, 600),
  // Utilisation means nothing of a slice.
  gpu('slice', utilisation, 100, 10, { gpu_i_id: '1' }),
  gpu('moved', utilisation, 7, 7200, { namespace: 'ml', pod: 'p' }),
  gpu('moved', utilisation, 0, 20),
]
const api = await testApi(root, { records, nowMs })
const ids = async (query: string) =>
  (await api.json<any>(`/api/v1/gpus?${query}`)).gpus.map((one: any) => one.uuid).sort()

test('the state of a GPU is by the metric of its engine, or why it is not known', async (t) => {
  t.same(await ids('state=active'), ['busy', 'engine'])
  t.same(await ids('state=idle'), ['fallback', 'idle', 'moved'])
  t.same(await ids('state=not_reported'), ['unsaid'])
  t.same(await ids('state=unknown'), ['slice', 'unknown'])
  t.same(await ids('state=stale'), ['old'])
  const wrong = await api.json('/api/v1/gpus?state=asleep')
  t.match(wrong, { code: 'bad_parameter', detail: /state=asleep: want one of active, idle, stale/ })
})

test('a metric may have any name', async (t) => {
  const named = ['__proto__', 'constructor'].map((metric) => gpu('named', metric, 1))
  const own = await testApi(root, { records: [gpu('other', power, 300), ...named], nowMs })
  const text = await (await own.get('/api/v1/gpus/named')).text()
  t.match(text, /"values":\{"__proto__":\{"value":1,.*\},"constructor":\{"value":1,/)
  const asked = (metric: string) => own.json<any>(`/api/v1/query?metric=${metric}&start=-5m&window=5m&group_by=gpu`)
  for (const metric of ['__proto__', 'constructor'])
    t.match(await asked(metric), { series: [{ gpus: 1, group: { gpu: 'named' } }] }, metric)
  t.match(await asked('toString'), { status: 404 }, 'no GPU has it')
})

test('a GPU without a host stands on none', async (t) => {
  const own = await testApi(root, { records: [gpu('a', power, 1), gpu('b', power, 1, 10, { hostname: '' })], nowMs })
  t.match(await own.json('/api/v1/fleet'), { gpus: 2, hosts: 1 })
  t.match(await own.json('/api/v1/models'), { models: [{ gpus: 2, hosts: 1 }] })
})

test('a moment in the past: the values, the pods and what was stale then', async (t) => {
  const then = time(7190)
  t.same(await ids(`at=${then}`), ['moved'])
  t.same(await ids(`at=${then}&namespace=ml&state=active`), ['moved'])
  t.same(await ids(`at=${then}&namespace=`), [])
  t.match(await api.json(`/api/v1/gpus/moved?at=${then}`), {
    as_of: then.replace('.000', ''),
    gpu: { pod: 'p', age_s: 10, stale: false, values: { [utilisation]: { value: 7 } } },
  })
  t.same(await ids(`at=${time(595)}&state=active`), ['old', 'unknown'])
  t.same(await ids('at=-2d'), [])
  t.match(await api.json('/api/v1/gpus/moved?at=-2d'), { code: 'unknown_gpu', detail: /moved in the 24 hours up to/ })
})
