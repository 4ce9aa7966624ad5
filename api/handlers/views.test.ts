/** Models, freshness, and since when a GPU is missing. */

import { t as root, test } from 'tap'
import { gpuRecord, metricRecord, transferRecord } from '#store/samples'
import type { TelemetryRecord } from '#telemetry/record'
import { testApi } from '#test/api'
import { testRows } from '#test/api-rows'

const nowMs = Date.parse('2025-07-18T20:43:00Z')
const at = (secondsAgo: number): string => new Date(nowMs - secondsAgo * 1000).toISOString()
const used = 'DCGM_FI_DEV_FB_USED'
const free = 'DCGM_FI_DEV_FB_FREE'
const driver = { labels: { driver_version: '535' } }
const b = { uuid: 'GPU-b', gpu_id: '1', device_id: 'nvidia1' }
const other = { uuid: 'GPU-c', hostname: 'host-2', model_name: 'NVIDIA A100' }
const slow = { uuid: 'GPU-d', hostname: 'host-3', model_name: 'NVIDIA A100', gpu_i_id: '3' }

const records: readonly TelemetryRecord[] = [
  ...[10, 20, 30, 40].map((ago) => gpuRecord({ time: at(ago), value: ago, ...driver })),
  gpuRecord({ metric: used, value: 1000, time: at(10), ...driver }),
  gpuRecord({ metric: free, value: 80_000, time: at(10), ...driver }),
  // Its host answers, and it does not.
  gpuRecord({ ...b, time: at(500) }),
  gpuRecord({ ...other, time: at(200), metric: 'DCGM_FI_DEV_FB_TOTAL', value: 40_960 }),
  // A value a minute, the last one 150 s ago: that is not stale.
  ...[150, 210, 270].map((ago) => gpuRecord({ ...slow, time: at(ago) })),
  metricRecord({ time: at(5) }),
  ...[400, 500, 600].map((ago) => transferRecord({ id: `t${ago}`, time: at(ago) })),
  transferRecord({ id: 'b', time: at(100), site: 'SITE_B' }),
]

const rowOf = (body: any, name: string) => body.rows.find((row: any) => row.name === name)
const names = (body: any) => body.rows.map((row: any) => row.name)

testRows(
  { filled: await testApi(root, { records, nowMs }), bare: await testApi(root, { nowMs }) },
  {
    listModels: {
      happy: [
        [
          '/api/v1/models',
          (body) => body.models.map((each: any) => [each.model_name, each.gpus, each.hosts, each.memory_mib]),
          [
            ['NVIDIA A100', 2, 2, 40_960],
            ['NVIDIA H100 80GB HBM3', 2, 1, 81_000],
          ],
        ],
        [
          '/api/v1/models',
          ({ models: [a, h] }) => [a.sliced_gpus, a.drivers, h.drivers, h.stale_gpus, h.missing_gpus, h.age_s],
          [1, {}, { '535': 1 }, 1, 1, 10],
        ],
      ],
      empty: ['/api/v1/models', (body) => body.models, []],
      wrong: [['/api/v1/models?model=x', 400, 'unknown_parameter', /takes no parameters/]],
    },
    getFreshness: {
      happy: [
        ['/api/v1/freshness', names, ['host-2', 'host-3', 'host-1']],
        [
          '/api/v1/freshness',
          (body) => rowOf(body, 'host-1'),
          {
            name: 'host-1',
            hostname: null,
            members: 2,
            stale_members: 1,
            newest: at(10).replace('.000', ''),
            age_s: 10,
            oldest_age_s: 500,
            interval_s: 10,
            stale_after_s: 90,
            stale: false,
          },
        ],
        [
          '/api/v1/freshness',
          (body) => [rowOf(body, 'host-3').stale_after_s, rowOf(body, 'host-3').stale],
          [180, false],
        ],
        ['/api/v1/freshness', (body) => [rowOf(body, 'host-2').interval_s, rowOf(body, 'host-2').stale], [null, true]],
        ['/api/v1/freshness?by=gpu', names, ['GPU-b', 'GPU-c', 'GPU-d:3', 'GPU-a']],
        [
          '/api/v1/freshness?by=gpu',
          (body) => [rowOf(body, 'GPU-b').hostname, rowOf(body, 'GPU-b').stale, rowOf(body, 'GPU-b').members],
          ['host-1', true, 1],
        ],
        [
          '/api/v1/freshness?by=metric',
          (body) => [rowOf(body, used).age_s, rowOf(body, 'disk_used').members, names(body).at(-1)],
          [10, 0, 'disk_used'],
        ],
        [
          '/api/v1/freshness?by=site',
          (body) => body.rows.map((row: any) => [row.name, row.age_s, row.interval_s, row.stale_after_s, row.stale]),
          [
            ['SITE_A', 400, 100, 300, true],
            ['SITE_B', 100, null, 90, true],
          ],
        ],
        ['/api/v1/freshness?limit=3', (body) => [names(body).length, body.truncated, body.cursor], [3, false, null]],
      ],
      empty: ['/api/v1/freshness', (body) => [body.rows, body.truncated], [[], false]],
      wrong: [
        ['/api/v1/freshness?by=rack', 400, 'bad_parameter', /by=rack: want one of site, host, gpu, metric/],
        ['/api/v1/freshness?limit=0', 400, 'bad_parameter', /limit=0/],
        ['/api/v1/freshness?cursor=x', 400, 'bad_parameter', /cursor: want one of an answer before/],
      ],
    },
  },
)

test('getFreshness: pages follow one another by their cursor', async (t) => {
  const { json } = await testApi(t, { records, nowMs })
  for (const by of ['host', 'gpu', 'site']) {
    const whole: any = await json(`/api/v1/freshness?by=${by}`)
    const seen: string[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: any = await json(`/api/v1/freshness?by=${by}&limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`)
      seen.push(...names(page))
      cursor = page.cursor
    }
    t.same(seen, names(whole), by)
  }
})

test('missing_since: not seen although its exporter answers, by whatever the GPU is asked for', async (t) => {
  const sliced = gpuRecord({ uuid: 'GPU-e', gpu_id: '2', gpu_i_id: '7', time: at(10) })
  const whole = gpuRecord({ uuid: 'GPU-e', gpu_id: '2', time: at(900) })
  const { json } = await testApi(t, { records: [...records, sliced, whole], nowMs })
  const missing = async (path: string) =>
    ((await json(path)) as any).gpus.flatMap((gpu: any) => (gpu.missing_since === null ? [] : [gpu.id]))
  t.same(await missing('/api/v1/gpus'), ['GPU-b'], 'the GPU that went into MIG mode is there as its slice')
  t.same(await missing('/api/v1/gpus?host=host-1'), ['GPU-b'])
  t.same(await missing('/api/v1/gpus?namespace='), ['GPU-b'])
  t.same(await missing('/api/v1/gpus?host=host-2'), [], 'a host that is silent as a whole')
  t.equal(((await json('/api/v1/gpus/GPU-b')) as any).gpu.missing_since, at(500).replace('.000', ''))
})
