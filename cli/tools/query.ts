/** `penstock query`: the newest values, straight from the store while a collector may be writing to it; or what the API answers. */

import { commonSettings, setting } from '#lib/settings'
import { openStore } from '#store/open'
import { isEmbedded, storePlace } from '#store/settings'
import type { LatestRow } from '#store/store'
import { UsageError } from '../args.ts'
import { command } from '../command.ts'
import { storeDirOf } from './store_dir.ts'
import { formatTable, type Column } from '../table.ts'
import { reachVariables } from './api.ts'
import { apiSettings, queryApi, questions } from './query_api.ts'

const settings = {
  dataDir: commonSettings.dataDir,
  ...storePlace,
  host: setting.text('HOST', { help: 'only this host' }),
  gpu: setting.text('GPU', { help: 'only the GPUs with this number on their host, or this uuid' }),
  metric: setting.text('METRIC', { help: 'only this metric, by its canonical name' }),
  namespace: setting.text('NAMESPACE', { help: 'only the GPUs of this namespace' }),
  json: setting.boolean('JSON', { help: 'a JSON object a line instead of a table', default: 'false' }),
  ...apiSettings,
}

/** Of the newest values only; a question to the API has parameters. */
const storeFilters = ['host', 'gpu', 'metric', 'namespace', 'json']

const widest = questions.reduce((most, { path }) => Math.max(most, path.length), 0)
const list = questions.map(({ path, summary }) => `  ${path.padEnd(widest)}  ${summary}\n`).join('')

export const query = command({
  name: 'query',
  usage: '[QUESTION [NAME=VALUE ...]]',
  about: `Shows the newest value of each series in the store of DATA_DIR, or of INFLUXDB_URL, beside a collector that writes.
A dash is a value that the source named and did not report. With a QUESTION it asks the API instead:

${list}`,
  more: `  penstock query --host node-001 --metric DCGM_FI_DEV_GPU_TEMP
  penstock query --data-dir data/demo --gpu 3 --json
  penstock query gpus host=node-001
  penstock query gpus/node-001:3/telemetry metric=DCGM_FI_DEV_POWER_USAGE start=-1h window=1m
  penstock query transfers status=failed --format csv
`,
  positionals: { max: 100 },
  settings,
  reads: ['DATA_DIR', ...reachVariables, ...Object.values(storePlace).map(({ name }) => name)],
  async run({ host, gpu, metric, namespace, json, ...place }, io, { positionals, flags }) {
    if (positionals.length > 0) {
      const filter = storeFilters.find((name) => flags[name] !== undefined)
      if (filter === undefined) return queryApi(place, positionals, io)
      const instead = filter === 'json' ? '--format json' : `${filter}=${flags[filter]} behind the question`
      throw new UsageError([`--${filter} is for the store: write ${instead}`])
    }
    const dataDir = isEmbedded(place) ? storeDirOf(place.dataDir, io) : place.dataDir
    const store = await openStore({ ...place, dataDir }, { readOnly: true })
    try {
      const isUuid = gpu?.includes('-') === true
      const filter = { hostname: host, uuid: isUuid ? gpu : undefined, metric, namespace }
      const found = await store.latest(filter)
      const rows = gpu === undefined || isUuid ? found : found.filter((row) => row.gpu_id === gpu)
      if (json) io.stdout.write(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
      else if (rows.length > 0) io.stdout.write(formatTable(columnsFor(rows), rows))
      if (rows.length === 0)
        io.stderr.write(`nothing in the store of ${isEmbedded(place) ? dataDir : place.influxdbUrl} fits\n`)
      return 0
    } finally {
      await store.close()
    }
  },
})

/** Columns that would be empty from top to bottom are left out. */
function columnsFor(rows: readonly LatestRow[]): readonly Column<LatestRow>[] {
  const columns: readonly Column<LatestRow>[] = [
    { head: 'HOST', of: (row) => row.hostname },
    { head: 'GPU', of: (row) => row.gpu_id, align: 'right' },
    { head: 'SLICE', of: (row) => row.gpu_i_id },
    { head: 'NAMESPACE', of: (row) => row.namespace },
    { head: 'POD', of: (row) => row.pod },
    { head: 'METRIC', of: (row) => row.metric },
    { head: 'LABELS', of: (row) => labelsText(row) },
    { head: 'VALUE', of: (row) => row.value, align: 'right' },
    { head: 'TIME', of: (row) => row.time },
  ]
  return columns.filter(({ head, of }) => head === 'VALUE' || rows.some((row) => (of(row) ?? '') !== ''))
}

function labelsText({ labels }: LatestRow): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}
