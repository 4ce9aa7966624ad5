import assert from 'node:assert/strict'
import fc from 'fast-check'
import { t as root, test } from 'tap'
import { gpuRecord } from '#store/samples'
import type { RangeSeries } from '#store/store'
import type { GpuRecord } from '#telemetry/record'
import { formatTime } from '#telemetry/time'
import { testApi } from '#test/api'
import { testRows } from '#test/api-rows'
import { heldBy } from '../ask/groups.ts'
import { type Amounts, UsageAccount, usageMetrics } from '../ask/usage.ts'
import type { Gpu } from '../contract.ts'

const startMs = Date.parse('2025-07-18T20:00:00Z')
const nowMs = startMs + 3_600_000
const power = 'DCGM_FI_DEV_POWER_USAGE'
const energy = 'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION'
const utilisation = 'DCGM_FI_DEV_GPU_UTIL'

const b = { uuid: 'GPU-b', gpu_id: '1' }
const c = { uuid: 'GPU-c', hostname: 'host-2', namespace: 'web', pod: 'w' }
const ann = { namespace: 'ml', pod: 'p', container: 'c', labels: { hpc_job: '7', user: 'ann' } }

/** A value a minute: `a` works for somebody in the first half of the hour, `b` never, and of `c` nobody knows. */
const records: readonly GpuRecord[] = Array.from({ length: 60 }, (_, minute) => {
  const time = new Date(startMs + minute * 60_000).toISOString()
  const a = minute < 30 ? ann : {}
  return [
    gpuRecord({ ...a, time, metric: power, value: 100 }),
    gpuRecord({ ...a, time, metric: utilisation, value: minute < 30 ? 80 : 0 }),
    gpuRecord({ ...b, time, metric: utilisation, value: 0 }),
    gpuRecord({ ...c, time, metric: utilisation, value: null }),
    gpuRecord({ ...c, time, metric: power, value: 5000 }),
    gpuRecord({ ...c, time, metric: energy, value: 1e6 + minute * 60_000 }),
  ]
}).flat()

const usage = '/api/v1/usage'
const hours = (amounts: any) => [
  amounts.gpu_hours,
  amounts.allocated_gpu_hours,
  amounts.active_gpu_hours,
  amounts.idle_gpu_hours,
  amounts.unknown_gpu_hours,
  amounts.metered_gpu_hours,
]
const joules = (amounts: any): number => Math.round(amounts.energy_kwh * 3_600_000)
const byGroup = (body: any) => body.groups.map((one: any) => [one.namespace, ...hours(one), joules(one)])

const [filled, bare] = [await testApi(root, { records, nowMs }), await testApi(root, { nowMs })]

testRows(
  { filled, bare },
  {
    listOccupants: {
      happy: [
        [
          '/api/v1/gpus/host-1:0/occupants',
          (body) => [body.gpu.id, body.occupants],
          [
            'GPU-a',
            [
              {
                namespace: 'ml',
                pod: 'p',
                container: 'c',
                job: '7',
                user: 'ann',
                from: '2025-07-18T20:00:00Z',
                to: '2025-07-18T20:30:00Z',
              },
            ],
          ],
        ],
        ['/api/v1/gpus/GPU-c/occupants', (body) => [body.occupants[0].pod, body.occupants[0].to], ['w', null]],
        ['/api/v1/gpus/GPU-b/occupants', (body) => body.occupants, []],
        ['/api/v1/gpus/GPU-a/occupants?start=2025-07-18T20:30:00Z', (body) => body.occupants, []],
        ['/api/v1/gpus/GPU-a/occupants?start=-31m&end=-20m', (body) => body.occupants.length, 1],
      ],
      wrong: [
        ['/api/v1/gpus/GPU-x/occupants', 404, 'unknown_gpu', /there is no GPU GPU-x/],
        ['/api/v1/gpus/nvidia0/occupants', 409, 'ambiguous_gpu', /fits 3/],
        ['/api/v1/gpus/GPU-a/occupants?start=-1m&end=-2m', 400, 'bad_parameter', /is not after start/],
        ['/api/v1/gpus/GPU-a/occupants?cursor=x', 400, 'bad_parameter', /cursor: want one/],
        ['/api/v1/gpus/GPU-a/occupants?limit=0', 400, 'bad_parameter', /from 1 to 1000/],
      ],
    },
    getUsage: {
      happy: [
        [
          usage,
          byGroup,
          [
            ['', 1.5, 0, 0, 1.5, 0, 0.5, 180_000],
            ['ml', 0.5, 0.5, 0.5, 0, 0, 0.5, 174_000],
            // The counter goes before the power.
            ['web', 1, 1, 0, 0, 1, 1, 3540],
          ],
        ],
        [usage, (body) => [hours(body.total), joules(body.total), body.gpus], [[3, 1.5, 0.5, 1.5, 1, 2], 357_540, 3]],
        [usage, (body) => [body.start, body.end], ['2025-07-17T20:55:00Z', '2025-07-18T21:00:00Z']],
        [
          `${usage}?group_by=job,user,host&start=2025-07-18T20:00:00Z`,
          (body) => body.groups.map((one: any) => [one.job, one.user, one.host, one.gpu_hours]),
          [
            ['', '', 'host-1', 1.5],
            ['', '', 'host-2', 1],
            ['7', 'ann', 'host-1', 0.5],
          ],
        ],
        // A window that its owner left in the middle is split.
        [
          `${usage}?window=1h&start=2025-07-18T20:00:00Z`,
          (body) => byGroup(body)[1],
          ['ml', 0.5, 0.5, 0.5, 0, 0, 0.5, 177_000],
        ],
        [
          `${usage}?start=2025-07-18T20:32:00Z&end=2025-07-18T20:38:00Z`,
          (body) => [body.start, body.end, hours(body.total)[0]],
          ['2025-07-18T20:30:00Z', '2025-07-18T20:40:00Z', 0.5],
        ],
        [`${usage}?group_by=`, (body) => [body.groups.length, body.groups[0].gpu_hours], [1, 3]],
        [`${usage}?start=-30s`, (body) => body.total.gpu_hours, 3 / 12],
        [`${usage}?end=-1d`, (body) => [body.groups, body.total.energy_kwh], [[], null]],
      ],
      empty: [usage, (body) => [body.groups, body.total.gpu_hours, body.total.energy_kwh], [[], 0, null]],
      wrong: [
        [`${usage}?group_by=gpu`, 400, 'bad_parameter', /group_by=gpu: want some of namespace, pod, job, user/],
        [
          `${usage}?window=1ms&start=-1h`,
          400,
          'bad_parameter',
          /3 GPUs x \d+ windows are more than 2000000: want windows of/,
        ],
        [`${usage}?window=soon`, 400, 'bad_parameter', /window=soon/],
        [`${usage}?start=-1h&end=-2h`, 400, 'bad_parameter', /is not after start/],
        [`${usage}?cursor=x`, 400, 'bad_parameter', /cursor: want one/],
        [`${usage}?groupby=user`, 400, 'unknown_parameter', /did you mean group_by\?/],
      ],
    },
  },
)

test('getUsage: what pages say adds up, and two ranges that meet add up to the one of both', async (t) => {
  const groups: any[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: any = await filled.json(`${usage}?limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`)
    groups.push(...page.groups)
    t.equal(page.total.gpu_hours, 3)
    cursor = page.cursor
  }
  t.same(groups, (await filled.json<any>(usage)).groups)
  const total = async (start: string, end: string) =>
    (await filled.json<any>(`${usage}?start=2025-07-18T${start}:00Z&end=2025-07-18T${end}:00Z`)).total
  const [first, second, both] = [
    await total('20:00', '20:20'),
    await total('20:20', '20:45'),
    await total('20:00', '20:45'),
  ]
  t.equal(joules(first) + joules(second), joules(both))
  t.equal(first.gpu_hours + second.gpu_hours, both.gpu_hours)
})

test('listOccupants: pages follow one another by their cursor', async (t) => {
  const owned = ['p', 'q', 'r'].map((pod, index) =>
    gpuRecord({ pod, time: new Date(startMs + index * 1000).toISOString() }),
  )
  const api = await testApi(t, { records: owned, nowMs })
  const pods: string[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: any = await api.json(`/api/v1/gpus/GPU-a/occupants?limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`)
    pods.push(...page.occupants.map((one: any) => one.pod))
    cursor = page.cursor
  }
  t.same(pods, ['p', 'q', 'r'])
})

test('usage: whoever had whichever GPU or slice of one, the groups add up to the total, and that to the windows', async () => {
  const windowMs = 1000
  const slice = fc.record({
    uuid: fc.constantFrom('a', 'b', 'c'),
    gpu_i_id: fc.constantFrom('', '1', '2'),
    changes: fc.uniqueArray(fc.tuple(fc.integer({ min: -2000, max: 12_000 }), fc.constantFrom('', 'x', 'y')), {
      selector: ([ms]) => ms,
      maxLength: 5,
    }),
    values: fc.array(
      fc.record({
        metric: fc.constantFrom(...usageMetrics.map(({ metric }) => metric)),
        place: fc.nat(9),
        value: fc.option(fc.nat(5)),
      }),
      { maxLength: 20 },
    ),
  })
  const fleet = fc.uniqueArray(slice, { selector: ({ uuid, gpu_i_id }) => `${uuid} ${gpu_i_id}`, maxLength: 6 })
  const by = fc.constantFrom(
    [],
    ['namespace'] as const,
    ['host', 'user'] as const,
    ['namespace', 'job', 'user'] as const,
  )
  const bounds = fc.tuple(fc.nat(4000), fc.integer({ min: 5000, max: 10_000 }))
  fc.assert(
    fc.property(fleet, by, bounds, (slices, by, [fromMs, toMs]) => {
      const range = { windowMs, startMs: startMs + fromMs, endMs: startMs + toMs }
      const owners = slices.flatMap(({ uuid, gpu_i_id, changes }) => {
        const sorted = changes.toSorted(([a], [b]) => a - b)
        return sorted.flatMap(([ms, name], index) => {
          const next = sorted[index + 1]
          const to = next === undefined ? null : formatTime({ ms: startMs + next[0], ns: 0 })
          const owner = { namespace: name, pod: '', container: '', hpc_job: '', user: name }
          return name === '' ? [] : [{ uuid, gpu_i_id, ...owner, from: formatTime({ ms: startMs + ms, ns: 0 }), to }]
        })
      })
      const account = new UsageAccount(range, by, heldBy(owners))
      const gpus = slices.map(
        ({ uuid, gpu_i_id }) => ({ uuid, gpu_i_id, id: uuid, hostname: uuid, model_name: '' }) as Gpu,
      )
      account.add(
        gpus,
        usageMetrics.flatMap(({ metric }) => slices.map((one) => seriesOf(one, metric, windowMs))),
      )
      const sum = (of: (amounts: Amounts) => number) =>
        account.groups.reduce((all, { amounts }) => all + of(amounts), 0)
      const { total } = account
      const near = (a: number, b: number, what: string) => assert.ok(Math.abs(a - b) < 1e-6, `${what}: ${a} and ${b}`)
      for (const name of Object.keys(total) as (keyof Amounts)[])
        near(
          sum((own) => own[name]),
          total[name],
          name,
        )
      near(total.activeMs + total.idleMs + total.unknownMs, total.gpuMs, 'states')
      // Each device counts once in each window of which it has anything.
      const seen = new Set(slices.flatMap(({ uuid, values }) => values.map(({ place }) => `${uuid} ${place}`)))
      const wanted = [...seen].map((key) => {
        const windowStart = Number(key.split(' ')[1]) * windowMs
        return Math.max(0, Math.min(toMs, windowStart + windowMs) - Math.max(fromMs, windowStart))
      })
      near(
        total.gpuMs,
        wanted.reduce((a, b) => a + b, 0),
        'windows',
      )
    }),
  )
})

interface Slice {
  readonly uuid: string
  readonly gpu_i_id: string
  readonly values: readonly { readonly metric: string; readonly place: number; readonly value: number | null }[]
}

function seriesOf({ uuid, gpu_i_id, values }: Slice, metric: string, windowMs: number): RangeSeries {
  const own = new Map(values.filter((one) => one.metric === metric).map(({ place, value }) => [place, value]))
  const rows = [...own].map(([place, value]) => ({
    time: formatTime({ ms: startMs + place * windowMs, ns: 0 }),
    value,
  }))
  return { kind: 'gpu', metric, uuid, gpu_i_id, labels: {}, values: rows }
}
