import { text } from 'node:stream/consumers'
import { test } from 'tap'
import { answer, listen, notedBackoff } from '#test/listen'
import { Client, type DeadLetter } from './client.ts'

test('a dead letter whose answer is lost is written once, and the next ones wait for it', async (t) => {
  const bodies = new Map<string, string>()
  const order: string[] = []
  let underWay = 0
  const url = await listen(t, async (request, response) => {
    t.equal(++underWay, 1, 'one request at a time')
    const id = `${String(request.headers['producer-id'])} ${String(request.headers['producer-sequence'])}`
    const body = await text(request)
    underWay--
    order.push(body)
    const known = bodies.get(id)
    bodies.set(id, body)
    if (known === undefined && bodies.size !== 2) return void response.destroy()
    t.equal(known ?? body, body, 'the same number for the same letters')
    answer(response, 200, { count: 1 })
  })
  const { waits, backoff } = notedBackoff()
  const client = new Client({ url, backoff })
  const letters: DeadLetter[][] = [[{ reason: 'a' }, { reason: 'b', line: 2 }], [{ reason: 'c' }], [{ reason: 'd' }]]
  await Promise.all([client.dead('telemetry', []), ...letters.map((some) => client.dead('telemetry', some))])
  const lines = letters.map((some) => some.map((letter) => JSON.stringify(letter)).join('\n'))
  t.same(order, [lines[0], lines[0], lines[1], lines[2], lines[2]])
  t.same(
    [...bodies.keys()].map((id) => id.split(' ')[1]),
    ['0', '2', '3'],
  )
  t.equal(waits.length, 2)
})

test('dead letters that are refused do not hold up the next ones', async (t) => {
  let asked = 0
  const url = await listen(t, (_, response) =>
    ++asked === 1 ? answer(response, 404, { code: 'unknown_topic' }) : answer(response, 200, { count: 1 }),
  )
  const client = new Client({ url })
  const first = client.dead('telemtry', [{ reason: 'a' }])
  const second = client.dead('telemtry', [{ reason: 'b' }])
  await t.rejects(first, { code: 'unknown_topic' })
  await second
})
