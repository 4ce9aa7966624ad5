import { test } from 'tap'
import { transform } from './transform.ts'

test('a record comes out under its canonical name, what is none with the reason', async (t) => {
  const gpu = { time: '2025-07-18T20:42:34Z', uuid: 'GPU-a', metric: 'DCGM_FI_DEV_GPU_UTIL', value: 100 }
  t.match(transform(JSON.stringify(gpu)), { kind: 'gpu', ...gpu })
  t.match(transform(JSON.stringify({ ...gpu, metric: 'DCGM_FI_DEV_POWER_USAGE', value: 2_147_483_632 })), {
    value: null,
  })
  t.match(transform('{"time":'), { refused: /^not JSON: / })
  t.match(transform('[]'), { refused: /want a JSON object/ })
  t.match(transform(JSON.stringify({ ...gpu, time: 'yesterday' })), { refused: /^time is "yesterday"/ })
})
