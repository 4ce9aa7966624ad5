import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { test } from 'tap'
import { gpuRecord } from '#store/samples'
import { testApi } from '#test/api'
import { jsonOf, packedOf, packLike, packNow, restored, shared, valueOf } from './shared.ts'

test('an answer that is shared is written once, another each time', async (t) => {
  let written = 0
  const answer = () => ({ toJSON: () => ({ written: ++written }) })
  const [own, common] = [answer(), await shared({ inner: answer() }, async () => {})]
  t.same(
    [String(jsonOf(common)), String(jsonOf(common)), written],
    ['{"inner":{"written":1}}', '{"inner":{"written":1}}', 1],
  )
  t.same([jsonOf(own), jsonOf(own)], ['{"written":2}', '{"written":3}'])
  t.equal(jsonOf(null), 'null')
})

test('a list that is shared goes out to each who asks, written once', async (t) => {
  const api = await testApi(t, { records: [gpuRecord()], wallMs: () => Date.parse('2025-07-18T20:43:00Z') })
  const asked = t.capture(api.thread, 'ask', api.thread.ask.bind(api.thread))
  const [first, second] = [await (await api.get('/api/v1/gpus')).text(), await (await api.get('/api/v1/gpus')).text()]
  t.equal(first, second)
  t.equal(asked().length, 1)
})

test('what is written in turns is what JSON.stringify writes, and is compressed once', async (t) => {
  let turns = 0
  const nextTurn = async () => void turns++
  const gpus = Array.from({ length: 250 }, (_, index) => ({ id: `é ${index}`, list: [index, null] }))
  for (const answer of [
    { as_of: 'now', gpus, gap: undefined, cursor: null },
    { gpus, after: gpus },
    { gap: undefined, gpus: [] },
    { few: gpus.slice(0, 100) },
    {},
  ]) {
    t.equal(String(jsonOf(await shared(answer, nextTurn))), JSON.stringify(answer))
  }
  t.equal(turns, 9)

  const answer = await shared({ gpus }, nextTurn)
  for (const [coding, inflate] of [
    ['gzip', gunzipSync],
    ['br', brotliDecompressSync],
  ] as const) {
    const packed = packedOf(answer, coding)
    t.equal(String(inflate((await packed) as Buffer)), JSON.stringify(answer))
    t.equal(packedOf(answer, coding), packed)
  }
  t.equal(packedOf({ gpus }, 'gzip'), undefined)
})

test('an answer that came written is read again where its members are wanted', async (t) => {
  const value = { gpus: [{ id: 'é' }] }
  const answer = restored(Buffer.from(JSON.stringify(value)))
  t.same([String(jsonOf(answer)), valueOf(answer)], [JSON.stringify(value), value])
  const own = await shared({ ...value }, async () => {})
  t.equal(valueOf(own), own)
  t.equal(valueOf('text'), 'text')
})

test('an answer is compressed ahead as the one before was asked for, and no further', async (t) => {
  const make = () => restored(Buffer.from(JSON.stringify({ text: 'a'.repeat(5_000) })))
  const [first, second, third] = [make(), make(), make()] as [object, object, object]
  await packedOf(first, 'gzip')
  t.same(await packLike(first, second), ['gzip'])
  t.same(await packLike(second, third), [], 'nobody has asked for the second one')
  t.same(await packLike(undefined, third), [])
})

test('short answers are compressed at once, shorter and longer ones are not', (t) => {
  const [short, right, long] = [1_000, 20_000, 40_000].map((length) => '{"a":1},'.repeat(length / 8)) as [
    string,
    string,
    string,
  ]
  for (const text of [right, Buffer.from(right)]) {
    t.equal(String(gunzipSync(packNow(text, 'gzip') as Buffer)), right)
    t.equal(String(brotliDecompressSync(packNow(text, 'br') as Buffer)), right)
  }
  t.same([packNow(short, 'gzip'), packNow(long, 'gzip')], [undefined, undefined])
  t.end()
})

test('the list goes out compressed as the client takes it', async (t) => {
  const api = await testApi(t, { records: [gpuRecord()], wallMs: () => Date.parse('2025-07-18T20:43:00Z') })
  const ask = (coding: string, more = {}) =>
    api.get('/api/v1/gpus', { headers: { 'accept-encoding': coding, ...more } })
  const plain = await ask('identity')
  t.equal(plain.headers.get('content-encoding'), null)
  const text = await plain.text()
  for (const [accepted, coding] of [
    ['gzip', 'gzip'],
    ['gzip, deflate, br', 'br'],
    ['br;q=0.1, gzip;q=0.9', 'gzip'],
    ['br;q=0, gzip', 'gzip'],
    ['deflate', null],
    ['gzip;q=0', null],
  ] as const) {
    const answer = await ask(accepted)
    t.equal(answer.headers.get('content-encoding'), coding, accepted)
    if (coding !== null) t.match(answer.headers.get('vary'), /accept-encoding/)
    t.equal(await answer.text(), text, accepted)
  }
  t.equal((await ask('gzip', { 'x-no-compression': '1' })).headers.get('content-encoding'), null)
})

test('the list is made anew before it is too old, and nobody waits for it', async (t) => {
  let nowMs = Date.parse('2025-07-18T20:43:00Z')
  const api = await testApi(t, { records: [gpuRecord()], wallMs: () => nowMs })
  const made = async () => Date.parse((await api.json<{ as_of: string }>('/api/v1/gpus')).as_of)
  const first = nowMs
  t.equal(await made(), first)
  nowMs = first + 299
  t.equal(await made(), first)
  nowMs = first + 300
  t.equal(await made(), first, 'the one who has it made is given the one before')
  let next = await made()
  while (next === first) next = await made()
  t.equal(next, first + 300)
  nowMs = first + 799
  t.equal(await made(), first + 300)
  nowMs = first + 1_500
  t.equal(await made(), nowMs, 'never one that is too old')
  nowMs = first
  t.equal(await made(), first, 'a clock that was set back')
})

test('all GPUs are one answer for half a second, whose ages count from when it was made', async (t) => {
  let nowMs = Date.parse('2025-07-18T20:43:00Z')
  const api = await testApi(t, { records: [gpuRecord()], wallMs: () => nowMs })
  const first = await api.json<any>('/api/v1/gpus')
  t.match(first, {
    as_of: '2025-07-18T20:43:00Z',
    gpus: [{ age_s: 26, values: { DCGM_FI_DEV_GPU_UTIL: { age_s: 26 } } }],
  })
  nowMs += 299
  t.same(await api.json('/api/v1/gpus'), first)
  nowMs += 201
  t.match(await api.json('/api/v1/gpus'), { gpus: [{ age_s: 26.5 }] })
})
