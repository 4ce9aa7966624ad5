import { t as root, test } from 'tap'
import { gpuRecord } from '#store/samples'
import { testApi } from '#test/api'

const startMs = Date.parse('2025-07-18T20:00:00Z')
const nowMs = startMs + 3_600_000
const power = 'DCGM_FI_DEV_POWER_USAGE'
const energy = 'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION'
const time = (ms: number) => new Date(startMs + ms).toISOString()

/** Power each 10 s with a hole, energy each 25 s. */
const records = [
  ...Array.from({ length: 60 }, (_, n) => gpuRecord({ metric: power, value: n % 7, time: time(n * 10_000) })),
  gpuRecord({ metric: power, value: 9, time: time(1_200_000) }),
  ...Array.from({ length: 24 }, (_, n) => gpuRecord({ metric: energy, value: n * n, time: time(n * 25_000) })),
]
const api = await testApi(root, { records, nowMs })
const base = `/api/v1/gpus/GPU-a/telemetry?start=${time(0)}&end=${time(1_800_000)}`

test('pages of telemetry, one behind the other, are the values of one long answer', async (t) => {
  const asked = [
    '',
    '&window=30s',
    '&window=30s&fill=previous',
    `&window=20s&fn=increase&metric=${energy}`,
    `&window=20s&fn=rate&metric=${energy}&fill=null`,
    `&window=20s&fn=integral&metric=${power}&fill=zero`,
  ].flatMap((query) => ['asc', 'desc'].map((order) => `${query}&order=${order}`))
  for (const query of asked) {
    const whole: any = await api.json(`${base}${query}&limit=10000`)
    t.notOk(whole.truncated)
    const joined = new Map<string, unknown[]>()
    let pages = 0
    for (let cursor: string | null = ''; cursor !== null; pages++) {
      const page: any = await api.json(`${base}${query}&limit=17${cursor === '' ? '' : `&cursor=${cursor}`}`)
      for (const { metric, values } of page.series) joined.set(metric, [...(joined.get(metric) ?? []), ...values])
      t.equal(page.truncated, page.cursor !== null)
      cursor = page.cursor
    }
    t.ok(pages > 1, `${query}: ${pages} pages`)
    t.same(
      [...joined],
      whole.series.map(({ metric, values }: any) => [metric, values]),
      query,
    )
  }
})

test('the newest come first, and units are those of what was made', async (t) => {
  const newest: any = await api.json(`${base}&metric=${power}&order=desc&limit=2`)
  t.same(
    newest.series[0].values.map(({ value }: any) => value),
    [9, 59 % 7],
  )
  const unitOf = async (query: string) => (await api.json<any>(`${base}&window=1m&${query}`)).series[0].unit
  t.same(
    [
      await unitOf(`metric=${power}`),
      await unitOf(`metric=${power}&fn=integral`),
      await unitOf(`metric=${power}&fn=count`),
      await unitOf(`metric=${energy}&fn=rate`),
      await unitOf(`metric=${energy}&fn=increase`),
    ],
    ['W', 'J', 'values', 'mJ/s', 'mJ'],
  )
})

test('a cursor is of its order and its windows, and the newest of windows beyond count are refused', async (t) => {
  const { cursor }: any = await api.json(`${base}&limit=3`)
  const wrong = async (query: string, detail: RegExp) => {
    const answer = await api.get(`${base}&${query}`)
    const body: any = await answer.json()
    t.match([answer.status, body.code, body.detail], [400, 'bad_parameter', detail], query)
  }
  await wrong(`cursor=${cursor}&order=desc`, /another order or window/)
  await wrong(`cursor=${cursor}&window=1m`, /another order or window/)
  await wrong('cursor=x', /cursor: want one of an answer before/)
  await wrong('order=up', /order=up: want one of asc, desc/)
  await wrong('window=10ms&order=desc', /window=10ms with order=desc: want 1s at least/)
})
