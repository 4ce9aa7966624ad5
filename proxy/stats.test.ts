import { test } from 'tap'

import { manualClock } from '#lib/clock'
import { createMetrics } from '#lib/metrics'
import type { Ordinal } from '#wire/ids'

import { Stats } from './stats.ts'

test('requests are counted and timed by the number of the broker, one without an answer too', async (t) => {
  const clock = manualClock(0)
  const metrics = createMetrics('proxy')
  const stats = new Stats(clock, metrics)
  const one = 1 as Ordinal
  for (const [status, ms] of [
    [200, 10],
    [503, 20],
    [undefined, 30],
  ] as const) {
    const done = stats.begin(() => one)
    clock.advance(ms)
    done(status)
  }
  stats.begin(() => undefined)(200)
  t.strictSame(stats.of(one), { requests: 3, unanswered: 1, failed: 1, mean_ms: 20 })
  t.strictSame(stats.of(2 as Ordinal), { requests: 0, unanswered: 0, failed: 0, mean_ms: null })
  const { body } = await metrics.text()
  for (const answer of ['2xx', '5xx', 'none']) {
    t.match(body, new RegExp(`penstock_broker_requests_total\\{broker="1",answer="${answer}",role="proxy"\\} 1`))
  }
  t.match(
    body,
    /penstock_broker_request_duration_seconds_count\{role="proxy",broker="1"\} 3|duration_seconds_count\{broker="1",role="proxy"\} 3/,
  )
})
