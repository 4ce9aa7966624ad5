import { test } from 'tap'
import { Outages } from './outages.ts'
import type { Trouble } from './pipeline.ts'

const down: Trouble = { id: 'broker 1', level: 'bad', title: 'Broker 1 is down', text: 'refused' }
const starting: Trouble = { id: 'broker 1', level: 'warn', title: 'Broker 1 is starting', text: '' }
const silent: Trouble = { id: 'api', level: 'bad', title: 'The API does not answer', text: 'no connection' }

test('what was down is back, once, and how long it was away is told', (t) => {
  const outages = new Outages()
  t.strictSame(outages.update([], 0), [])
  t.strictSame(outages.update([down], 1_000), [])
  t.strictSame(outages.update([{ ...down, text: 'another reason' }], 2_000), [])
  t.strictSame(outages.update([], 18_000), [{ id: 'broker 1', title: 'Broker 1 is back', downMs: 17_000 }])
  t.strictSame(outages.update([], 19_000), [])
  t.end()
})

test('what is starting is not back yet, and its return is not missed', (t) => {
  const outages = new Outages()
  outages.update([down], 0)
  t.strictSame(outages.update([starting], 1_000), [])
  t.strictSame(outages.update([down], 2_000), [], 'it may fall again')
  t.strictSame(outages.update([starting], 3_000), [])
  t.match(outages.update([], 4_000), [{ title: 'Broker 1 is back', downMs: 4_000 }])
  t.end()
})

test('a start or a mere warning is no outage', (t) => {
  const outages = new Outages()
  outages.update([starting], 0)
  t.strictSame(outages.update([], 1_000), [])
  t.end()
})

test('nothing is called back while the API, which would know, does not answer', (t) => {
  const outages = new Outages()
  outages.update([down], 0)
  t.strictSame(outages.update([silent], 1_000), [])
  t.match(outages.update([down], 2_000), [{ title: 'The API answers again' }])
  t.match(outages.update([], 3_000), [{ title: 'Broker 1 is back', downMs: 3_000 }])
  t.end()
})

test('a source that could not be read is read on', (t) => {
  const outages = new Outages()
  outages.update([{ id: 'source a.csv', level: 'bad', title: 'a.csv cannot be read on', text: 'EACCES' }], 0)
  t.match(outages.update([], 1_000), [{ title: 'a.csv is read on' }])
  t.end()
})
