/** Traces on the client's side: they go out with the batches of a call, and come back with the header of a batch. */

import { test } from 'tap'
import { listen } from '#test/listen'
import { Client, type TracedBatch } from './client.ts'
import { formatBatchHead, formatCrc, traceFields } from './frames.ts'
import type { Offset } from './ids.ts'

const trace = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' }
const traceparent = `00-${trace.traceId}-${trace.spanId}-01`

test('the requests with records of a call bear its trace, others none', async (t) => {
  const seen: [records: number, traceparent: string | undefined][] = []
  const url = await listen(t, async (request, response) => {
    let body = ''
    for await (const part of request) body += part
    const count = body.trimEnd().split('\n').length
    seen.push([count, request.headers['traceparent'] as string | undefined])
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ count }))
  })
  const producer = new Client({ url }).producer({ topic: 't', lingerMs: 0 })
  await producer.send([{ data: '1', partition: 0 }])
  await producer.send(
    [
      { data: '2', partition: 0 },
      { data: '3', partition: 0 },
    ],
    traceparent,
  )
  await producer.send([{ data: '4', partition: 0 }])
  await producer.close()
  t.same(seen, [
    [1, undefined],
    [2, traceparent],
    [1, undefined],
  ])
})

test('a consumer is told of the batch of a trace, before its records, and of no other', async (t) => {
  const url = await listen(t, (_, response) => {
    const head = (firstOffset: number, fields: ReadonlyMap<string, string>): string => {
      const numbers = { firstOffset: firstOffset as Offset, count: 2, bytes: 0, appendMs: 1 }
      const text = formatBatchHead({ ...numbers, producer: undefined, sequence: undefined, fields })
      return `${text}${formatCrc(0)}\n`
    }
    const events = (from: number): string => `id: 1/3/${from}\ndata: a\n\nid: 1/3/${from + 1}\ndata: b\n\n`
    response.setHeader('content-type', 'text/event-stream')
    response.write(`: penstock 1 00000000000000aa t 1 3 0\n`)
    response.write(head(0, new Map([['later', 'field']])) + events(0))
    response.write(head(2, new Map([...traceFields(trace), ['later', 'field']])) + events(2))
    response.write(head(4, new Map([['trace', 'of-another-form']])) + events(4))
  })
  const told: (TracedBatch | number)[] = []
  const onTrace = (batch: TracedBatch): void => void told.push(batch)
  const consumer = new Client({ url }).consumer({ topic: 't', from: 'earliest', onTrace })
  let count = 0
  for await (const messages of consumer.batches()) {
    count += messages.length
    if (count >= 6) break
  }
  t.same(told, [{ trace, broker: 1, partition: 3, firstOffset: 2, count: 2 }])
})
