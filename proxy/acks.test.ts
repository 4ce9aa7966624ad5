import { test } from 'tap'

import type { Problem } from '#wire/problems'

import { joinAcks, splitAck, type AckPart } from './acks.ts'

const body = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value))

test('a body is taken apart by broker, and what is no id goes to each', (t) => {
  t.strictSame(splitAck(body({ up_to: ['0/3/17', '1/0/4', '0/1/2'], delay_ms: 5 })), [
    { broker: 0, ids: ['0/3/17', '0/1/2'], body: { delay_ms: 5, up_to: ['0/3/17', '0/1/2'] } },
    { broker: 1, ids: ['1/0/4'], body: { delay_ms: 5, up_to: ['1/0/4'] } },
  ])
  t.strictSame(splitAck(body({ id: '2/0/1', ids: ['2/0/3'] })), [
    { broker: 2, ids: ['2/0/1', '2/0/3'], body: { ids: ['2/0/1', '2/0/3'] } },
  ])
  t.end()
})

test('what names no record is refused', (t) => {
  for (const wrong of ['no json', '[]', 'null', '{}', '{"ids":"0/0/1"}', '{"ids":["0/0"]}', '{"up_to":[7]}']) {
    t.throws(() => splitAck(Buffer.from(wrong)), { code: 'bad_request' }, wrong)
  }
  t.end()
})

test('the answers become one, and each id that was refused is named', (t) => {
  const [one, two] = splitAck(body({ up_to: ['0/3/17', '1/0/4'] })) as [AckPart, AckPart]
  t.strictSame(
    joinAcks('/ack', [
      [one, { done: 1 }],
      [two, { done: 1 }],
    ]),
    { acknowledged: 2 },
  )
  t.strictSame(joinAcks('/nack', [[one, { done: 1 }]]), { given_back: 1 }, 'each path has its own word')
  try {
    joinAcks('/ack', [
      [one, { done: 1 }],
      [two, { problem: { code: 'unavailable', extra: {} } }],
    ])
    t.fail('a broker that is down must not be taken for an acknowledgement')
  } catch (error) {
    t.match((error as Problem).toJSON(), {
      code: 'unavailable',
      status: 503,
      acknowledged: 1,
      refused: [{ id: '1/0/4', code: 'unavailable' }],
      retry_after_s: 1,
    })
  }
  const lost = {
    code: 'lease_lost' as const,
    extra: { acknowledged: 0, refused: [{ id: '0/3/17', code: 'lease_lost' }] },
  }
  t.throws(
    () =>
      joinAcks('/ack', [
        [one, { problem: lost }],
        [two, { problem: { code: 'unavailable', extra: {} } }],
      ]),
    { code: 'lease_lost' },
    'what cannot be mended by sending it again comes first',
  )
  t.end()
})
