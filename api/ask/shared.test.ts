import { setImmediate } from 'node:timers/promises'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { test } from 'tap'
import { gpuRecord } from '#store/samples'
import { testApi } from '#test/api'
import { Inventory } from './inventory.ts'
import { StoreReader } from './reader.ts'
import { jsonOf, packedOf, shared } from './shared.ts'

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
  const written = t.capture(JSON, 'stringify', JSON.stringify)
  const [first, second] = [await (await api.get('/api/v1/gpus')).text(), await (await api.get('/api/v1/gpus')).text()]
  t.equal(first, second)
  t.equal(written().filter(({ args: [value] }) => Array.isArray(value) && value[0]?.uuid !== undefined).length, 1)
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

test('one list is made at a time, however long it takes', async (t) => {
  const turns: (() => void)[] = []
  const nextTurn = () => new Promise<void>((resolve) => turns.push(resolve))
  const inventory = new Inventory(new StoreReader({ dataDir: t.testdir() }), 90_000, nextTurn)
  const answers = [0, 100, 600, 700].map((nowMs) => inventory.list(nowMs))
  let inFlightMax = 0
  const making = { isDone: false }
  const all = Promise.all(answers).finally(() => (making.isDone = true))
  while (!making.isDone) {
    await setImmediate()
    inFlightMax = Math.max(inFlightMax, turns.length)
    for (const turn of turns.splice(0)) turn()
  }
  const made = (await all).map(({ as_of }) => Date.parse(as_of))
  t.same([made, inFlightMax], [[0, 0, 600, 600], 1])
})
