import { test } from 'tap'
import { Problem } from '#wire/problems'
import { listOf, pipelineOf } from './model/samples.ts'
import { Session, type World } from './session.ts'
import { firstState, Store } from './state.ts'

const nowMs = Date.parse('2025-07-18T20:43:00Z')
const asOf = '2025-07-18T20:43:00Z'
const answers: Readonly<Record<string, unknown>> = {
  '/api/v1/gpus': { as_of: asOf, units: {}, gpus: [], truncated: false, cursor: null },
  '/api/v1/pipeline': { ...pipelineOf(), as_of: asOf },
  '/api/v1/sites': { sites: [] },
  '/api/v1/fleet/history': { values: [] },
}

/** An API that has no time for a path, so many times, and a page before it. */
function opened(path: string, times: number) {
  const store = new Store(firstState(nowMs))
  let left = times
  /** What the page waited for because it was told to, and whether it said so meanwhile. */
  const waits: { readonly ms: number; readonly isSaid: boolean }[] = []
  const world: World = {
    async fetch(input) {
      const { pathname } = new URL(input)
      if (pathname === path && left-- > 0) {
        const problem = new Problem('overloaded', 'many questions wait', { retry_after_s: 77 })
        return Response.json(problem.toJSON(), { status: problem.status, headers: { 'retry-after': '77' } })
      }
      return pathname === '/api/v1/stream' ? new Response(new ReadableStream()) : Response.json(answers[pathname])
    },
    origin: 'http://page',
    // Nothing happens by the clock but what the API asked for.
    sleep(ms, signal) {
      if (ms !== 77_000)
        return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('aborted'))))
      waits.push({ ms, isSaid: store.state.isOverloaded })
      return Promise.resolve()
    },
    random: () => 0,
    wallMs: () => nowMs,
    isHidden: () => false,
  }
  const session = new Session(store, world, 'key')
  const until = (holds: () => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (holds()) resolve()
      }
      store.subscribe(look)
      look()
    })
  return { store, session, waits, until }
}

test('an API that has no time for the first question: that is said, and it is asked when it wants to be', async (t) => {
  const { store, session, waits, until } = opened('/api/v1/gpus', 2)
  void session.run()
  await until(() => store.state.phase === 'open' && !store.state.isOverloaded)
  t.same(waits, [
    { ms: 77_000, isSaid: true },
    { ms: 77_000, isSaid: true },
  ])
  t.equal(store.state.pipelineError, undefined, 'it does answer')
  session.end()
})

test('and for one of the others', async (t) => {
  const { store, session, waits, until } = opened('/api/v1/sites', 1)
  void session.run()
  await until(() => store.state.sites !== undefined && !store.state.isOverloaded)
  t.same(waits, [{ ms: 77_000, isSaid: true }])
  session.end()
})

test('histories that fail while the store is away come when it is back, and it is not asked all the time', async (t) => {
  const list = listOf(Array.from({ length: 10 }, (_, index) => ({ index: `${index}` })))
  const store = new Store(firstState(nowMs))
  store.state.fleet.replace(list)
  const ids = list.gpus.map(({ id }) => id)
  const asked: string[] = []
  const pauses: { readonly ms: number; readonly end: () => void }[] = []
  let isAway = true
  const session = new Session(
    store,
    {
      async fetch(input) {
        asked.push(decodeURIComponent(new URL(input).pathname.split('/').at(-2) ?? ''))
        const away = new Problem('unavailable', 'the store does not answer', { retry_after_s: 1 })
        if (isAway) return Response.json(away.toJSON(), { status: 503, headers: { 'retry-after': '1' } })
        return asked.at(-1) === ids[9]
          ? Response.json(new Problem('unknown_gpu', 'there is none').toJSON(), { status: 404 })
          : Response.json({ series: [] })
      },
      origin: 'http://page',
      sleep: (ms) => new Promise((resolve) => pauses.push({ ms, end: resolve })),
      random: () => 0,
      wallMs: () => nowMs,
      isHidden: () => false,
    },
    'key',
  )
  /** Lets what can go on without the clock go on. */
  const settle = async () => {
    for (let n = 0; n < 50; n++) await new Promise(setImmediate)
  }
  session.wantHistories(ids, 'power')
  for (let round = 0; round < 6; round++) {
    await settle()
    for (const { end } of pauses.slice(-2)) end()
  }
  await settle()
  t.equal(asked.length, 14, 'two at a time, and then a pause')
  t.same(
    pauses.map(({ ms }) => ms / 1000),
    [2, 4, 8, 16, ...Array(10).fill(30)],
  )
  isAway = false
  asked.length = 0
  for (const { end } of pauses.slice(-2)) end()
  await settle()
  t.same(asked.toSorted(), ids.toSorted(), 'each once, also the one that there is not')
  session.end()
})
