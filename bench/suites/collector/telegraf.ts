/** Telegraf as the peer: it reads the same CSV file and writes to the same InfluxDB 2, with no log in between. */

import { globSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { start } from '#test/start'

import { Scope } from '#test/scope'
import type { RowFile } from './fleet.ts'
import { cpuSecondsOf } from '../../cpu.ts'
import type { Database } from './server.ts'

const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')

/** Where `bench/peers/telegraf` has put it. */
export function telegrafPath(): string | undefined {
  return globSync(join(cache, 'penstock/telegraf-*/telegraf')).toSorted().at(-1)
}

/**
 * What a row becomes. `whole`: each column that names something is a tag, the labels are left out. `lean`: only what makes
 * the series, as our engine writes it; whose GPU it is and where it stands is lost.
 */
export type Layout = 'whole' | 'lean'

const tags: Readonly<Record<Layout, readonly string[]>> = {
  whole: ['metric_name', 'gpu_id', 'device', 'uuid', 'modelName', 'Hostname', 'container', 'pod', 'namespace'],
  lean: ['metric_name', 'uuid'],
}

/** As a user would write it who knows which column is what: the obvious one, without types, loses nearly all rows. */
function configuration(file: RowFile, database: Database, bucket: string, layout: Layout): string {
  const { INFLUXDB_URL: url, INFLUXDB_TOKEN: token, INFLUXDB_ORG: org } = database.env(bucket)
  const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(', ')
  return `
[agent]
  omit_hostname = true
  interval = "1h"
  flush_interval = "1s"
  metric_batch_size = 5000
  metric_buffer_limit = ${file.rows + 1}
[[inputs.file]]
  files = ["${file.path}"]
  name_override = "gpu"
  data_format = "csv"
  csv_header_row_count = 1
  csv_tag_columns = [${quoted(tags[layout])}]
  csv_timestamp_column = "timestamp"
  csv_timestamp_format = "2006-01-02T15:04:05Z07:00"
  csv_column_types = ["string", "string", "string", "string", "string", "string", "string", "string", "string", "string", "float", "string"]
  csv_skip_values = ["", "[N/A]"]
  fieldinclude = ["value"]
[[outputs.influxdb_v2]]
  urls = ["${url}"]
  token = "${token}"
  organization = "${org}"
  bucket = "${bucket}"
`
}

/** Rows a second and the CPU seconds of Telegraf, for the whole file, from its start to its end. */
export async function throughTelegraf(
  command: string,
  folder: string,
  file: RowFile,
  database: Database,
  bucket: string,
  layout: Layout,
): Promise<{ readonly rowsAS: number; readonly cpuS: number }> {
  const scope = new Scope()
  try {
    const config = join(folder, `${bucket}.conf`)
    await writeFile(config, configuration(file, database, bucket, layout))
    await database.newBucket(bucket)
    const telegraf = start(scope, command, ['--config', config, '--once'])
    await telegraf.waitFor(/Starting Telegraf/)
    const startedMs = performance.now()
    let cpuS = 0
    const watch = setInterval(() => (cpuS = cpuSecondsOf(telegraf.pid) || cpuS), 50)
    await telegraf.exited
    clearInterval(watch)
    return { rowsAS: (1000 * file.rows) / (performance.now() - startedMs), cpuS }
  } finally {
    await scope.end()
  }
}
