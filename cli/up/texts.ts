/** What `penstock up` tells a person at the start. */

import { extname } from 'node:path'
import type { Addresses } from './figures.ts'
import type { Plan } from './plan.ts'

export const demoBanner = `
  ┌──────────────────────────────────────────────────────────────────────────┐
  │  DEMO: this fleet does not exist. Its values are a model, kept apart.    │
  │  Your own: penstock up --csv FILE        (npm start -- --csv FILE)       │
  └──────────────────────────────────────────────────────────────────────────┘

`

/** In a checkout the command stands in node_modules/.bin only. */
const penstock = extname(import.meta.filename) === '.ts' ? 'npx penstock' : 'penstock'

/** Commands to copy, one for each thing that there is to see. */
export function whereToLook(
  { proxy, streamer, api }: Addresses & { readonly api: string },
  { dataDir, route, apiKey }: Plan,
  wantsToken: boolean,
): string {
  const auth = !wantsToken ? '' : ' -H "Authorization: Bearer $SERVICE_TOKEN"'
  const topic = route.topics[0] ?? 'telemetry'
  return `
  dashboard        ${api}/#key=${apiKey}
  API              ${api}/swagger/
  latest values    ${penstock} query --data-dir ${quoted(dataDir)}
  how far it is    ${penstock} lag --addr ${proxy}
  the stream       curl -N${auth} '${proxy}/consume?topic=${topic}&from=latest'
  the streamer     curl -N${auth} ${streamer}/stream
  stop             Ctrl-C

`
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`
}
