import { setImmediate } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { manualClock, systemClock } from '#lib/clock'
import { Admission, type AdmissionBounds, type AdmissionSurroundings } from './admission.ts'

const bounds: AdmissionBounds = { queryRunningMax: 2, queryWaitingMax: 3, queryWaitMs: 60_000 }
const nobody = new AbortController().signal

function open(t: Test, own: Partial<AdmissionBounds> = {}, around: Partial<AdmissionSurroundings> = {}) {
  const over = new AbortController()
  t.teardown(() => over.abort())
  const counted = { full: 0, late: 0 }
  const refused = { full: { inc: () => void counted.full++ }, late: { inc: () => void counted.late++ } }
  const surroundings = { clock: systemClock, refused, nextTurn: undefined, ...around }
  const admission = new Admission({ ...bounds, ...own }, surroundings)
  /** Names of those that have begun, in their order. */
  const begun: string[] = []
  const ends = new Map<string, () => void>()
  return {
    admission,
    counted,
    begun,
    /** Asks a question that goes on until it is ended. */
    ask(name: string, signal = over.signal) {
      const asked = admission.ask(async () => {
        begun.push(name)
        await new Promise<void>((resolve) => ends.set(name, resolve))
        return name
      }, signal)
      // Of some nobody wants to know what became.
      asked.catch(() => {})
      return asked
    },
    end: (name: string) => ends.get(name)?.(),
  }
}

test('so many are asked at a time, and the others in the order in which they came', async (t) => {
  const { admission, ask, begun, end } = open(t)
  const asked = ['a', 'b', 'c', 'd'].map((name) => ask(name))
  await setImmediate()
  t.same([begun, admission.running, admission.waiting], [['a', 'b'], 2, 2])
  end('b')
  t.equal(await asked[1], 'b')
  await setImmediate()
  t.same([begun, admission.running, admission.waiting], [['a', 'b', 'c'], 2, 1])
  for (const name of ['a', 'c']) end(name)
  await Promise.all([asked[0], asked[2]])
  await setImmediate()
  end('d')
  t.equal(await asked[3], 'd')
  t.same([admission.running, admission.waiting], [0, 0])
})

test('one that fails gives its place to the next', async (t) => {
  const { admission, ask, begun } = open(t, { queryRunningMax: 1 })
  const failing = admission.ask(() => Promise.reject(new Error('no store')), nobody)
  void ask('next')
  await t.rejects(failing, /no store/)
  await setImmediate()
  t.same([begun, admission.running], [['next'], 1])
})

test('more than may wait are refused at once: which setting it is, and when to come again', async (t) => {
  const clock = manualClock(0)
  const { admission, ask, counted } = open(t, {}, { clock })
  for (const name of ['a', 'b', 'first to wait']) void ask(name)
  clock.advance(2_300)
  for (const name of ['d', 'e']) void ask(name)
  await t.rejects(ask('one more'), {
    code: 'overloaded',
    status: 503,
    message: /^overloaded: 3 questions wait already.*QUERY_WAITING_MAX.*; 2 are asked of the store.*QUERY_RUNNING_MAX/,
    // As long as the first one has waited.
    extra: { retry_after_s: 3 },
  })
  t.same([admission.running, admission.waiting, counted], [2, 3, { full: 1, late: 0 }])
})

test('who has waited too long is refused; what has begun is finished', async (t) => {
  const { admission, ask, begun, counted, end } = open(t, { queryRunningMax: 1, queryWaitMs: 20 })
  const first = ask('first')
  const refusals = await Promise.allSettled([ask('second'), ask('third')])
  for (const refusal of refusals) {
    t.match(refusal, {
      status: 'rejected',
      reason: { code: 'overloaded', message: /waited for 0\.02 s.*QUERY_WAIT_MAX/, extra: { retry_after_s: 1 } },
    })
  }
  end('first')
  t.equal(await first, 'first')
  t.same([begun, admission.waiting, counted], [['first'], 0, { full: 0, late: 2 }])
  // And it goes on looking.
  const again = ask('again')
  await t.rejects(ask('late again'), { code: 'overloaded' })
  end('again')
  t.equal(await again, 'again')
})

test('one whose time is over does not begin any more, however late that is seen', async (t) => {
  const clock = manualClock(0)
  const { ask, begun, end } = open(t, { queryRunningMax: 1 }, { clock })
  const first = ask('first')
  await setImmediate()
  const old = t.rejects(ask('old'), { code: 'overloaded' })
  clock.advance(59_999)
  const young = ask('young')
  clock.advance(1)
  end('first')
  await Promise.all([first, old])
  await setImmediate()
  end('young')
  await young
  t.same(begun, ['first', 'young'])
})

test('who is gone does not wait, and is not asked for', async (t) => {
  const { admission, ask, begun, end } = open(t, { queryRunningMax: 1, queryWaitingMax: 1 })
  const first = ask('first')
  const gone = new AbortController()
  const left = t.rejects(ask('gone', gone.signal), /the client is gone/)
  gone.abort(new Error('the client is gone'))
  await left
  t.equal(admission.waiting, 0)
  const next = ask('next')
  end('first')
  await first
  await setImmediate()
  end('next')
  await next
  t.same(begun, ['first', 'next'])
  await t.rejects(ask('gone before', gone.signal), /the client is gone/)
})

test('where this thread answers one begins a turn of the event loop, and who comes meanwhile is heard', async (t) => {
  const turns: (() => void)[] = []
  const nextTurn = () => new Promise<void>((resolve) => turns.push(resolve))
  const { ask, begun } = open(t, { queryRunningMax: 100 }, { nextTurn })
  for (const name of ['a', 'b', 'c']) void ask(name)
  await setImmediate()
  t.same([begun, turns.length], [[], 1])
  await t.rejects(ask('one too many'), { code: 'overloaded' })
  for (const wanted of [['a'], ['a', 'b'], ['a', 'b', 'c']]) {
    turns.shift()?.()
    await setImmediate()
    t.same(begun, wanted)
  }
  t.equal(turns.length, 0, 'no turn is asked for while nobody waits')
})

test('who waits for what others asked takes no turn, and is bounded as well', async (t) => {
  const { admission, ask, counted } = open(t, { queryWaitMs: 50 })
  for (const name of ['a', 'b', 'c', 'd', 'e']) void ask(name)
  t.equal(await admission.share(async () => 'is there'), 'is there', 'also while no more may wait')
  const { promise, resolve } = Promise.withResolvers<string>()
  const shared = Promise.allSettled([0, 1, 2].map(() => admission.share(() => promise)))
  await t.rejects(
    admission.share(() => promise),
    { code: 'overloaded', message: /3 questions wait already/ },
  )
  for (const each of await shared) t.match(each, { status: 'rejected', reason: { message: /waited for 0\.05 s/ } })
  t.equal(admission.waiting, 0)
  const last = admission.share(() => promise)
  resolve('made')
  t.equal(await last, 'made')
  t.equal(counted.full, 1)
})

test('at the end those who were let in are answered, and nobody else', async (t) => {
  const { admission, ask, end } = open(t, { queryRunningMax: 1 })
  const asked = [ask('first'), ask('second')]
  let isOver = false
  const over = admission.end().then(() => (isOver = true))
  await t.rejects(ask('later'), { code: 'unavailable', message: /stopping/ })
  end('first')
  await asked[0]
  await setImmediate()
  t.equal(isOver, false)
  end('second')
  t.equal(await asked[1], 'second')
  await over
  await open(t).admission.end()
})
