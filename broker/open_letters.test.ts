import { test } from 'tap'

import { startBroker } from '#test/broker'

import { openLetters } from './open_letters.ts'
import type { Topic } from './topic.ts'

test('letters are whole although the memory that they stood in is taken for others between two of them', async (t) => {
  const local = await startBroker(t, { topics: new Map([['work', { partitions: 1 }]]), memoryBytes: 1 << 20 })
  const ndjson = { 'content-type': 'application/x-ndjson' }
  const reasons = Array.from({ length: 5 }, (_, n) => `reason ${n}`)
  for (const reason of reasons) await local.call('POST', '/dead?topic=work', JSON.stringify({ reason }), ndjson)
  const found: unknown[] = []
  for await (const { letter } of openLetters(local.broker.topic('work.dead') as Topic)) {
    found.push(letter.reason)
    if (found.length > 1) continue
    // The ring comes round: these are three times as much as it holds.
    const body = `"${'x'.repeat(30_000)}"`
    for (let n = 0; n < 100; n++)
      t.match(await local.call('POST', '/produce?topic=work', body, ndjson), { status: 200 })
  }
  t.strictSame(found, reasons)
})
