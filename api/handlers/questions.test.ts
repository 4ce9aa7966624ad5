import { t as root, test } from 'tap'
import { gpuRecord } from '#store/samples'
import type { GpuRecord } from '#telemetry/record'
import { testApi } from '#test/api'
import { testRows } from '#test/api-rows'

const startMs = Date.parse('2025-07-18T20:00:00Z')
const nowMs = startMs + 3_600_000
const power = 'DCGM_FI_DEV_POWER_USAGE'
const energy = 'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION'
const reasons = 'DCGM_FI_DEV_CLOCKS_EVENT_REASONS'
const xid = 'DCGM_FI_DEV_XID_ERRORS'

const b = { uuid: 'GPU-b', gpu_id: '1', device_id: 'nvidia1' }
const c = { uuid: 'GPU-c', hostname: 'host-2', model_name: 'NVIDIA A100', namespace: 'web' }

/** A value a minute: `a` belongs to somebody in the first half of the hour. */
const records: readonly GpuRecord[] = Array.from({ length: 60 }, (_, minute) => {
  const time = new Date(startMs + minute * 60_000).toISOString()
  const owner = { namespace: 'ml', pod: 'p', labels: { hpc_job: '7', user: 'ann' } }
  const a = minute < 30 ? owner : {}
  return [
    gpuRecord({ ...a, time, metric: power, value: 100 }),
    gpuRecord({ ...b, time, metric: power, value: 200 }),
    gpuRecord({ ...c, time, metric: power, value: 50 }),
    gpuRecord({ ...c, time, metric: energy, value: 1e6 + minute * 60_000 }),
    gpuRecord({ ...a, time, metric: reasons, value: minute % 2 === 0 ? 1 : 4 }),
    gpuRecord({ ...b, time, metric: xid, value: 43 }),
    gpuRecord({ ...c, time, metric: xid, value: null }),
  ]
}).flat()

const query = '/api/v1/query?metric'
const hour = 'start=2025-07-18T20:00:00Z&end=2025-07-18T21:00:00Z'
const halves = `${hour}&window=30m`
const groups = (body: any) =>
  body.series.map((one: any) => [Object.values(one.group).join(), one.values.map(({ value }: any) => value)])
const ranks = (body: any) => body.top.map((one: any) => [Object.values(one.group).join(), one.value])

const [filled, bare] = [await testApi(root, { records, nowMs }), await testApi(root, { nowMs })]

testRows(
  { filled, bare },
  {
    query: {
      happy: [
        [`${query}=${power}&${halves}&over=sum`, groups, [['', [350, 350]]]],
        [
          `${query}=${power}&${halves}`,
          ({ unit, fn, over, window_s, group_by, series }) => [unit, fn, over, window_s, group_by, series],
          [
            'W',
            'mean',
            'mean',
            1800,
            [],
            [
              {
                group: {},
                gpus: 3,
                values: [
                  { time: '2025-07-18T20:00:00Z', value: 350 / 3, gpus: 3 },
                  { time: '2025-07-18T20:30:00Z', value: 350 / 3, gpus: 3 },
                ],
              },
            ],
          ],
        ],
        [
          `${query}=${power}&${halves}&group_by=host&over=sum`,
          groups,
          [
            ['host-1', [300, 300]],
            ['host-2', [50, 50]],
          ],
        ],
        [
          `${query}=${power}&${halves}&group_by=namespace,user&over=sum`,
          groups,
          [
            [',', [200, 300]],
            ['ml,ann', [100]],
            ['web,', [50, 50]],
          ],
        ],
        [
          `${query}=${power}&${halves}&group_by=namespace,user&over=sum&where=namespace=ml&fill=zero`,
          groups,
          [['ml,ann', [100, 0]]],
        ],
        [`${query}=${power}&${halves}&where=model=a100&group_by=gpu,job`, groups, [['GPU-c,', [50, 50]]]],
        [
          `${query}=${power}&${halves}&where=host=host-1&where=host=host-2&where=gpu=host-1:1`,
          groups,
          [['', [200, 200]]],
        ],
        [
          `${query}=${power}&${hour}&window=1h&fn=integral`,
          (body) => [body.unit, groups(body)],
          ['J', [['', [1_239_000]]]],
        ],
        // A rate is a sum over those that have it.
        [
          `${query}=${energy}&${halves}`,
          (body) => [body.unit, body.fn, groups(body)],
          ['mJ/s', 'rate', [['', [1000, 1000]]]],
        ],
        [
          `${query}=${reasons}&${halves}`,
          (body) => [body.fn, body.over, groups(body)],
          ['bits', 'bits', [['', [5, 5]]]],
        ],
        [`${query}=${xid}&${halves}`, (body) => [body.over, groups(body)], ['max', [['', [43, 43]]]]],
        [`${query}=${xid}&${halves}&where=gpu=GPU-c`, groups, [['', [null, null]]]],
        [
          `${query}=${xid}&${halves}&over=count&group_by=host`,
          (body) => [body.unit, groups(body)[1]],
          ['series', ['host-2', [0, 0]]],
        ],
        [
          `${query}=${power}&at=2025-07-18T20:15:30Z&group_by=namespace&over=sum`,
          (body) => [groups(body), body.series[1].values[0].time, body.start, body.window_s],
          [
            [
              ['', [200]],
              ['ml', [100]],
              ['web', [50]],
            ],
            '2025-07-18T20:15:30Z',
            '2025-07-18T20:10:30.000000001Z',
            300,
          ],
        ],
        [`${query}=${power}&at=2025-07-18T20:15:00Z&window=1s&over=sum`, groups, [['', [350]]]],
        [`${query}=dcgm_power_usage`, (body) => [body.metric, body.series[0].values.length > 50], [power, true]],
        [`${query}=${power}&where=host=nowhere`, groups, []],
        // Behind the newest value: nothing, and nothing wrong.
        [`${query}=${power}&start=-30s`, (body) => [body.end, groups(body)], ['2025-07-18T21:00:00Z', []]],
      ],
      empty: [`${query}=${power}`, groups, []],
      wrong: [
        ['/api/v1/query', 400, 'missing_parameter', /metric is missing/],
        [`${query}=nope`, 404, 'unknown_metric', /no metric nope/],
        [`${query}=${power}&fn=rate`, 400, 'bad_parameter', /is a gauge: want one of mean/],
        [`${query}=${xid}&over=mean`, 400, 'bad_parameter', /over=mean.*want one of max, min, count/],
        [`${query}=${reasons}&over=sum`, 400, 'bad_parameter', /want one of bits, count/],
        [`${query}=${power}&over=bits`, 400, 'bad_parameter', /over=bits/],
        [`${query}=${power}&group_by=hots`, 400, 'bad_parameter', /group_by=hots: want some of host, model/],
        [`${query}=${power}&group_by=host,host`, 400, 'bad_parameter', /each once/],
        [`${query}=${power}&where=hots=1`, 400, 'bad_parameter', /where=hots=1: want host=…/],
        [`${query}=${power}&where=host`, 400, 'bad_parameter', /such as where=host=node-1/],
        [`${query}=${power}&${hour}&window=1s`, 400, 'bad_parameter', /more than 1000 windows: want 4s at least/],
        [`${query}=${power}&start=-1h&end=-2h`, 400, 'bad_parameter', /is not after start/],
        [`${query}=${power}&at=now&start=-1h`, 400, 'bad_parameter', /start is of a range: want it without at/],
        [`${query}=${power}&at=then`, 400, 'bad_parameter', /at=then: want RFC 3339/],
        [`${query}=${power}&cursor=x`, 400, 'bad_parameter', /cursor: want one of an answer before/],
        [`${query}=${power}&limit=1001`, 400, 'bad_parameter', /from 1 to 1000/],
        [`${query}=${power}&wehre=a`, 400, 'unknown_parameter', /did you mean where\?/],
      ],
    },
    getTop: {
      happy: [
        [
          `/api/v1/top?metric=${power}`,
          (body) => [ranks(body), body.groups, body.unit, body.top[0].rank, body.top[0].gpu.gpu_id],
          [
            [
              ['GPU-b', 200],
              ['GPU-a', 100],
              ['GPU-c', 50],
            ],
            3,
            'W',
            1,
            '1',
          ],
        ],
        [`/api/v1/top?metric=${power}&order=asc&n=1`, (body) => [ranks(body), body.groups], [[['GPU-c', 50]], 3]],
        [
          `/api/v1/top?metric=${power}&group_by=namespace&over=sum&at=2025-07-18T20:29:00Z&window=10m`,
          (body) => [ranks(body), body.top[0].gpu],
          [
            [
              ['', 200],
              ['ml', 100],
              ['web', 50],
            ],
            null,
          ],
        ],
        // A minute later it is nobody's.
        [
          `/api/v1/top?metric=${power}&group_by=namespace&over=sum&at=2025-07-18T20:30:00Z&window=10m`,
          (body) => ranks(body)[0],
          ['', 300],
        ],
        [`/api/v1/top?metric=${power}&where=host=host-2&fn=integral&window=11m`, ranks, [['GPU-c', 50 * 60 * 10]]],
        [`/api/v1/top?metric=${xid}`, ranks, [['GPU-b', 43]]],
      ],
      empty: [`/api/v1/top?metric=${power}`, (body) => [body.top, body.groups], [[], 0]],
      wrong: [
        ['/api/v1/top', 400, 'missing_parameter', /metric is missing/],
        ['/api/v1/top?metric=nope', 404, 'unknown_metric', /nope/],
        [`/api/v1/top?metric=${power}&n=0`, 400, 'bad_parameter', /n=0: want a whole number from 1 to 1000/],
        [`/api/v1/top?metric=${power}&order=up`, 400, 'bad_parameter', /order=up: want one of desc, asc/],
        [`/api/v1/top?metric=${xid}&fn=mean`, 400, 'bad_parameter', /is a state/],
        [`/api/v1/top?metric=${power}&window=9y`, 400, 'bad_parameter', /window=9y: want a duration/],
        [`/api/v1/top?metric=${power}&group=host`, 400, 'unknown_parameter', /did you mean group_by\?/],
      ],
    },
  },
)

test('query: pages follow one another by their cursor, over one range, and add up to the whole', async (t) => {
  const base = `${query}=${power}&group_by=gpu&start=-1h&end=now&window=10m`
  const whole: any = await filled.json(base)
  const series: any[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: any = await filled.json(`${base}&limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`)
    t.same([page.start, page.end, page.series.length], [whole.start, whole.end, 1])
    t.equal(page.truncated, page.cursor !== null)
    series.push(...page.series)
    cursor = page.cursor
  }
  t.same(series, whole.series)
  t.equal(series.length, 3)
})
