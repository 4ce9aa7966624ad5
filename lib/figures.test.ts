import { test } from 'tap'
import { requestFigures } from './figures.ts'
import { createMetrics } from './metrics.ts'

test('requests are counted by route and status, their time by route', async (t) => {
  const metrics = createMetrics('api')
  const count = requestFigures(metrics)
  count('GET', '/gpus/{id}', 200, 0.002)
  count('GET', '/gpus/{id}', 200, 3)
  count('GET', '/gpus/{id}', 503, 0.2)
  count('DELETE', '/gpus/{id}', 200, 0.2)
  const { body } = await metrics.text()
  const route = 'route="/gpus/{id}"'
  for (const line of [
    `http_requests_total{method="GET",${route},status="200",role="api"} 2`,
    `http_requests_total{method="GET",${route},status="503",role="api"} 1`,
    `http_requests_total{method="DELETE",${route},status="200",role="api"} 1`,
    `penstock_http_request_duration_seconds_bucket{le="0.0025",method="GET",${route},role="api"} 1`,
    `penstock_http_request_duration_seconds_count{method="GET",${route},role="api"} 3`,
    `penstock_http_request_duration_seconds_count{method="DELETE",${route},role="api"} 1`,
  ])
    t.ok(body.includes(`${line}\n`), line)
})
