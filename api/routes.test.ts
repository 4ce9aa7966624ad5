/** Every route of the contract: what it answers, when it is empty, when it is asked wrongly, and without a key. */

import { t as root, test } from 'tap'
import { gpuRecord, transferRecord } from '#store/samples'
import type { TelemetryRecord } from '#telemetry/record'
import { contract, type Operation } from './contract.ts'
import { testApi } from '#test/api'
import { type ApiRow, testRows } from '#test/api-rows'

const nowMs = Date.parse('2025-07-18T20:43:00Z')
const other = { uuid: 'GPU-b', gpu_id: '1', device_id: 'nvidia1' }
const third = { uuid: 'GPU-c', hostname: 'host-2', namespace: 'ml', pod: 'train-0', model_name: 'NVIDIA A100' }
const power = 'DCGM_FI_DEV_POWER_USAGE'

const records: readonly TelemetryRecord[] = [
  gpuRecord({ time: '2025-07-18T20:42:30Z', value: 40 }),
  gpuRecord({ value: 50 }),
  gpuRecord({ metric: power, value: 300 }),
  gpuRecord({ metric: power, value: 100, ...other }),
  gpuRecord({ metric: 'DCGM_FI_DEV_FB_USED', value: null, ...other }),
  gpuRecord({ metric: 'DCGM_FI_DEV_XID_ERRORS', value: 43, ...other }),
  gpuRecord({ metric: power, value: 0, ...third }),
  transferRecord(),
  transferRecord({ id: 't2', time: '2025-07-18T20:42:40Z', status: 'failed', bytes: null, error: 'no route' }),
  transferRecord({ id: 't3', time: '2025-07-18T20:42:50Z', site: 'SITE_B' }),
]

/** In the tests beside their handlers. */
const elsewhere = [
  'stream',
  'postTelemetry',
  'setLogLevel',
  'listLetters',
  'retryLetters',
  'dropLetters',
  'scrapeGpus',
  'listModels',
  'getFreshness',
  'getLink',
  'listTransferErrors',
  'query',
  'getTop',
  'listOccupants',
  'getUsage',
  'listTopics',
  'listGroups',
  'getAudit',
  'writeLines',
  'writeLinesV1',
  'createDatabase',
  'listKeys',
  'createKey',
  'rotateKey',
  'expireKey',
  'revokeKey',
] as const satisfies readonly Operation[]

const ids = (body: any) => body.gpus.map((gpu: any) => gpu.uuid)

const rows: Readonly<Record<Exclude<Operation, (typeof elsewhere)[number]>, ApiRow>> = {
  listGpus: {
    happy: [
      ['/api/v1/gpus', ids, ['GPU-a', 'GPU-b', 'GPU-c']],
      ['/api/v1/gpus?host=host-1', ids, ['GPU-a', 'GPU-b']],
      ['/api/v1/gpus?model=a100', ids, ['GPU-c']],
      ['/api/v1/gpus?namespace=ml', ids, ['GPU-c']],
      ['/api/v1/gpus?namespace=', ids, ['GPU-a', 'GPU-b']],
      ['/api/v1/gpus?host=nowhere', ids, []],
      [
        '/api/v1/gpus',
        (body) => body.gpus[0].values.DCGM_FI_DEV_GPU_UTIL,
        { value: 50, reported: true, time: '2025-07-18T20:42:34Z', age_s: 26 },
      ],
      // Not reported is null, and zero is zero.
      ['/api/v1/gpus', (body) => body.gpus[1].values.DCGM_FI_DEV_FB_USED.value, null],
      ['/api/v1/gpus', (body) => body.gpus[1].values.DCGM_FI_DEV_FB_USED.reported, false],
      ['/api/v1/gpus', (body) => body.gpus[2].values[power].value, 0],
      ['/api/v1/gpus', (body) => body.units[power], 'W'],
      ['/api/v1/gpus', (body) => body.gpus[0].stale, false],
    ],
    empty: ['/api/v1/gpus', ids, []],
    wrong: [
      ['/api/v1/gpus?hots=1', 400, 'unknown_parameter', /^hots is not known: did you mean host\?/],
      ['/api/v1/gpus?host=a&host=b', 400, 'bad_parameter', /host is given 2 times/],
      ['/api/v1/gpus?host=', 400, 'bad_parameter', /host=: want a text of 1 to 512 characters/],
      ['/api/v1/gpus?cursor=WyJhIl0', 400, 'bad_parameter', /cursor: want one of an answer before/],
    ],
  },
  getGpu: {
    happy: [
      ['/api/v1/gpus/GPU-a', (body) => body.gpu.id, 'GPU-a'],
      ['/api/v1/gpus/host-1:1', (body) => body.gpu.id, 'GPU-b'],
      ['/api/v1/gpus/host-1:nvidia0', (body) => body.gpu.id, 'GPU-a'],
      ['/api/v1/gpus/nvidia1', (body) => body.gpu.id, 'GPU-b'],
      ['/api/v1/gpus/host-1%3A1', (body) => body.gpu.id, 'GPU-b'],
    ],
    wrong: [
      ['/api/v1/gpus/nvidia0', 409, 'ambiguous_gpu', /nvidia0 fits 2 GPUs/],
      ['/api/v1/gpus/GPU-x', 404, 'unknown_gpu', /there is no GPU GPU-x/],
      ['/api/v1/gpus/host-1:9', 404, 'unknown_gpu', /host-1:9/],
      ['/api/v1/gpus/GPU-a?x=1', 400, 'unknown_parameter', /x is not known/],
    ],
  },
  getGpuTelemetry: {
    happy: [
      [
        '/api/v1/gpus/GPU-a/telemetry?metric=DCGM_FI_DEV_GPU_UTIL',
        (body) => body.series[0].values,
        [
          { time: '2025-07-18T20:42:30Z', value: 40 },
          { time: '2025-07-18T20:42:34Z', value: 50 },
        ],
      ],
      ['/api/v1/gpus/GPU-a/telemetry', (body) => body.series.map((each: any) => each.metric).length, 2],
      // A name of another exporter version, and a list as some clients write it.
      ['/api/v1/gpus/GPU-a/telemetry?metric[]=dcgm_gpu_utilization', (body) => body.series[0].values.length, 2],
      [
        '/api/v1/gpus/GPU-a/telemetry?start=-27s&metric=DCGM_FI_DEV_GPU_UTIL',
        (body) => body.series[0].values.length,
        1,
      ],
      [
        '/api/v1/gpus/GPU-a/telemetry?metric=DCGM_FI_DEV_GPU_UTIL&window=1m',
        (body) => [body.series[0].fn, body.series[0].values, body.window_s],
        ['mean', [{ time: '2025-07-18T20:42:00Z', value: 45 }], 60],
      ],
      [
        '/api/v1/gpus/GPU-a/telemetry?metric=DCGM_FI_DEV_GPU_UTIL&limit=1',
        (body) => [body.series[0].values.length, body.series[0].truncated, body.truncated, body.series[0].next_start],
        [1, true, true, '2025-07-18T20:42:30.000000001Z'],
      ],
      ['/api/v1/gpus/GPU-b/telemetry?metric=DCGM_FI_DEV_FB_USED', (body) => body.series[0].values[0].value, null],
      // Known, and this GPU has none of it.
      ['/api/v1/gpus/GPU-a/telemetry?metric=DCGM_FI_DEV_GPU_TEMP', (body) => body.series, []],
      ['/api/v1/gpus/GPU-a/telemetry?end=1752871350&metric=DCGM_FI_DEV_GPU_UTIL', (body) => body.series[0].values, []],
    ],
    wrong: [
      ['/api/v1/gpus/GPU-a/telemetry?start=yesterday', 400, 'bad_parameter', /start=yesterday: want RFC 3339/],
      ['/api/v1/gpus/GPU-a/telemetry?start=-1m&end=-2m', 400, 'bad_parameter', /is not after start/],
      ['/api/v1/gpus/GPU-a/telemetry?limit=0', 400, 'bad_parameter', /limit=0: want a whole number from 1 to 10000/],
      ['/api/v1/gpus/GPU-a/telemetry?window=fast', 400, 'bad_parameter', /window=fast: want a duration/],
      ['/api/v1/gpus/GPU-a/telemetry?window=0', 400, 'bad_parameter', /window=0: want a duration from 1ms/],
      ['/api/v1/gpus/GPU-a/telemetry?fn=mean', 400, 'bad_parameter', /needs a window/],
      ['/api/v1/gpus/GPU-a/telemetry?fn=avg', 400, 'bad_parameter', /fn=avg: want one of mean, min/],
      ['/api/v1/gpus/GPU-a/telemetry?metric=nope', 404, 'unknown_metric', /no metric nope/],
      [
        '/api/v1/gpus/GPU-b/telemetry?metric=DCGM_FI_DEV_XID_ERRORS&window=1m&fn=mean',
        400,
        'bad_parameter',
        /DCGM_FI_DEV_XID_ERRORS is a state: want one of/,
      ],
      ['/api/v1/gpus/nvidia0/telemetry', 409, 'ambiguous_gpu', /fits 2/],
      ['/api/v1/gpus/GPU-a/telemetry?strat=-1m', 400, 'unknown_parameter', /did you mean start\?/],
    ],
  },
  listHosts: {
    happy: [
      [
        '/api/v1/hosts',
        (body) => body.hosts.map((host: any) => [host.hostname, host.gpus, host.power_w, host.memory_used_mib]),
        [
          ['host-1', 2, 400, null],
          ['host-2', 1, 0, null],
        ],
      ],
    ],
    empty: ['/api/v1/hosts', (body) => body.hosts, []],
    wrong: [
      ['/api/v1/hosts?host=a', 400, 'unknown_parameter', /host is not known/],
      ['/api/v1/hosts?cursor=x', 400, 'bad_parameter', /cursor: want one of an answer before/],
      ['/api/v1/hosts?limit=10001', 400, 'bad_parameter', /from 1 to 10000/],
    ],
  },
  listNamespaces: {
    happy: [
      [
        '/api/v1/namespaces',
        (body) => body.namespaces,
        [
          { namespace: '', gpus: 2, pods: 0 },
          { namespace: 'ml', gpus: 1, pods: 1 },
        ],
      ],
    ],
    empty: ['/api/v1/namespaces', (body) => body.namespaces, []],
    wrong: [['/api/v1/namespaces?x', 400, 'unknown_parameter', /x is not known/]],
  },
  getFleet: {
    happy: [
      [
        '/api/v1/fleet',
        (body) => [body.gpus, body.hosts, body.power_w, body.busy_gpus, body.newest, body.age_s, body.transfers],
        [3, 2, 400, 1, '2025-07-18T20:42:34Z', 26, 3],
      ],
    ],
    empty: ['/api/v1/fleet', (body) => [body.gpus, body.power_w, body.newest], [0, null, null]],
    wrong: [['/api/v1/fleet?host=a', 400, 'unknown_parameter', /host is not known/]],
  },
  getFleetHistory: {
    happy: [
      [
        '/api/v1/fleet/history?window=1m',
        (body) => [body.unit, body.fn, body.values],
        ['W', 'sum', [{ time: '2025-07-18T20:42:00Z', value: 400, gpus: 3 }]],
      ],
      ['/api/v1/fleet/history?window=1m&fn=max', (body) => body.values[0].value, 300],
      ['/api/v1/fleet/history?window=1m&fn=min', (body) => body.values[0].value, 0],
    ],
    empty: ['/api/v1/fleet/history', (body) => body.values, []],
    wrong: [
      ['/api/v1/fleet/history?metric=nope', 404, 'unknown_metric', /nope/],
      ['/api/v1/fleet/history?start=-1d&window=1s', 400, 'bad_parameter', /more than 1000 windows: want 87s at least/],
      ['/api/v1/fleet/history?metric=DCGM_FI_DEV_XID_ERRORS', 400, 'bad_parameter', /is a state/],
    ],
  },
  listMetrics: {
    happy: [['/api/v1/metrics', (body) => body.metrics.find((metric: any) => metric.name === power).unit, 'W']],
    wrong: [['/api/v1/metrics?name=x', 400, 'unknown_parameter', /name is not known/]],
  },
  listTransfers: {
    happy: [
      ['/api/v1/transfers', (body) => body.transfers.map((each: any) => each.id), ['t3', 't2', 't1']],
      [
        '/api/v1/transfers?site=SITE_A&status=failed',
        (body) => body.transfers.map((each: any) => each.error),
        ['no route'],
      ],
      ['/api/v1/transfers', (body) => body.transfers[1].throughput_bytes_per_s, null],
      ['/api/v1/transfers?start=2025-07-18T20:42:45Z', (body) => body.transfers.length, 1],
      // An offset whose plus was not escaped.
      ['/api/v1/transfers?start=2025-07-18T22:42:45+02:00', (body) => body.transfers.length, 1],
      ['/api/v1/transfers?limit=2', (body) => [body.transfers.length, body.truncated], [2, true]],
      ['/api/v1/transfers?limit=3', (body) => [body.truncated, body.cursor], [false, null]],
    ],
    empty: ['/api/v1/transfers', (body) => [body.transfers, body.cursor], [[], null]],
    wrong: [
      ['/api/v1/transfers?cursor=x', 400, 'bad_parameter', /cursor: want one of an answer before/],
      ['/api/v1/transfers?limit=1001', 400, 'bad_parameter', /from 1 to 1000/],
      ['/api/v1/transfers?limit=1e2', 400, 'bad_parameter', /limit=1e2: want a whole number/],
      ['/api/v1/transfers?end=9999999999999999999999', 400, 'bad_parameter', /want RFC 3339/],
    ],
  },
  listSites: {
    happy: [
      [
        '/api/v1/sites',
        (body) => body.sites.map((site: any) => [site.site, site.transfers, site.statuses]),
        [
          ['SITE_A', 2, { success: 1, failed: 1 }],
          ['SITE_B', 1, { success: 1 }],
        ],
      ],
    ],
    empty: ['/api/v1/sites', (body) => body.sites, []],
    wrong: [['/api/v1/sites?site=a', 400, 'unknown_parameter', /site is not known/]],
  },
  getLogLevel: {
    happy: [
      ['/api/v1/log-level', (body) => body, { level: 'debug' }],
      ['/log-level', (body) => body, { level: 'debug' }],
    ],
    wrong: [['/api/v1/log-level?level=info', 400, 'unknown_parameter', /level is not known/]],
  },
  getPipeline: {
    happy: [
      ['/api/v1/pipeline', (body) => [body.totals.stored, body.brokers[0].state, body.state], [9, 'down', 'degraded']],
    ],
    empty: ['/api/v1/pipeline', (body) => [body.store.stored, body.store.error], [0, null]],
    wrong: [['/api/v1/pipeline?x=1', 400, 'unknown_parameter', /x is not known/]],
  },
}

const filled = await testApi(root, { records, nowMs })
const bare = await testApi(root, { nowMs })

testRows({ filled, bare }, rows)

test('listGpus and listHosts: pages follow one another by their cursor', async (t) => {
  for (const [path, list] of [
    ['/api/v1/gpus', 'gpus'],
    ['/api/v1/hosts', 'hosts'],
  ] as const) {
    const whole: any = await filled.json(path)
    t.same([whole.truncated, whole.cursor], [false, null])
    const seen: any[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: any = await filled.json(`${path}?limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`)
      t.equal(page[list].length, 1)
      seen.push(...page[list])
      cursor = page.cursor
      t.equal(page.truncated, cursor !== null)
    }
    t.same(seen, whole[list])
  }
})

test('listTransfers: pages follow one another by their cursor', async (t) => {
  const seen: string[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const path: string = `/api/v1/transfers?limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`
    const page: any = await filled.json(path)
    seen.push(...page.transfers.map((each: any) => each.id))
    cursor = page.cursor
  }
  t.same(seen, ['t3', 't2', 't1'])
})

test('getGpuTelemetry: pages follow one another by next_start', async (t) => {
  const base = '/api/v1/gpus/GPU-a/telemetry?metric=DCGM_FI_DEV_GPU_UTIL&limit=1'
  const first: any = await filled.json(base)
  const second: any = await filled.json(`${base}&start=${first.series[0].next_start}`)
  t.same([first.series[0].values[0].value, second.series[0].values[0].value, second.truncated], [40, 50, false])
})

test('slices of a GPU: the uuid alone fits all of them, with their instance they are told apart', async (t) => {
  const slices = ['3', '7'].map((gpu_i_id) => gpuRecord({ uuid: 'GPU-m', gpu_i_id, metric: power, value: 200 }))
  const api = await testApi(t, { records: slices, nowMs })
  const ambiguous: any = await api.json('/api/v1/gpus/GPU-m')
  t.same(
    ambiguous.candidates.map((each: any) => each.id),
    ['GPU-m:3', 'GPU-m:7'],
  )
  t.equal((await api.json<any>('/api/v1/gpus/GPU-m:7')).gpu.gpu_i_id, '7')
  t.equal((await api.json<any>('/api/v1/gpus/GPU-m:7/telemetry')).series[0].values.length, 1)
  const fleet: any = await api.json('/api/v1/fleet')
  t.same([fleet.gpus, fleet.power_w], [1, 200], 'one GPU, whose power is counted once')
})

test('stale: what is old says so, and still counts where nothing is fresh', async (t) => {
  const api = await testApi(t, { records, nowMs: nowMs + 3_600_000 })
  const fleet: any = await api.json('/api/v1/fleet')
  t.same([fleet.stale, fleet.stale_gpus, fleet.power_w], [true, 3, 400])
})

test('the table of routes: each has its rows here', (t) => {
  t.same(Object.keys(contract).toSorted(), [...Object.keys(rows), ...elsewhere].toSorted())
  t.end()
})
