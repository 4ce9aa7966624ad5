/** What to do when nothing is stored yet. */

import type { State } from '../state.ts'

export function Empty({ state }: { state: State }) {
  const { pipeline } = state
  const isReading = pipeline?.streamer?.sources.some(({ done, error }) => !done && error === null) === true
  const origin = location.origin
  return (
    <section class="card empty" aria-labelledby="empty-title">
      <h2 id="empty-title">{isReading ? 'The first values are on their way' : 'No GPU has been seen yet'}</h2>
      <p>Everything runs, and the store holds no GPU. Each of these brings some, and this page shows them by itself:</p>
      <h3>A file that you have: a DCGM export, or a transfer log</h3>
      <pre>npm start -- --csv dcgm_export.csv</pre>
      <h3>A fleet that does not exist, to look around</h3>
      <pre>npm start -- --demo</pre>
      <h3>One record by hand</h3>
      <pre>{`curl -X POST ${origin}/telemetry -H "X-API-Key: $KEY" \\
  -H 'Content-Type: application/json' \\
  -d '{"metric":"DCGM_FI_DEV_GPU_UTIL","value":42,"hostname":"node-1","gpu_id":"0"}'`}</pre>
    </section>
  )
}
