import { test } from 'tap'
import { gpuRecord } from '#store/samples'
import { testApi } from '#test/api'
import { jsonOf, shared } from './shared.ts'

test('an answer that is shared is written once, another each time', async (t) => {
  let written = 0
  const answer = () => ({ toJSON: () => ({ written: ++written }) })
  const [own, common] = [answer(), shared(answer())]
  t.same([String(jsonOf(common)), String(jsonOf(common)), written], ['{"written":1}', '{"written":1}', 1])
  t.same([jsonOf(own), jsonOf(own)], ['{"written":2}', '{"written":3}'])
  t.equal(jsonOf(null), 'null')
})

test('a list that is shared goes out to each who asks, written once', async (t) => {
  const api = await testApi(t, { records: [gpuRecord()], wallMs: () => Date.parse('2025-07-18T20:43:00Z') })
  const written = t.capture(JSON, 'stringify', JSON.stringify)
  const [first, second] = [await (await api.get('/api/v1/gpus')).text(), await (await api.get('/api/v1/gpus')).text()]
  t.equal(first, second)
  t.equal(written().filter(({ args: [value] }) => value?.gpus !== undefined).length, 1)
})

test('all GPUs are one answer for half a second, whose ages count from when it was made', async (t) => {
  let nowMs = Date.parse('2025-07-18T20:43:00Z')
  const api = await testApi(t, { records: [gpuRecord()], wallMs: () => nowMs })
  const first = await api.json<any>('/api/v1/gpus')
  t.match(first, {
    as_of: '2025-07-18T20:43:00Z',
    gpus: [{ age_s: 26, values: { DCGM_FI_DEV_GPU_UTIL: { age_s: 26 } } }],
  })
  nowMs += 499
  t.same(await api.json('/api/v1/gpus'), first)
  nowMs += 1
  t.match(await api.json('/api/v1/gpus'), { gpus: [{ age_s: 26.5 }] })
})
