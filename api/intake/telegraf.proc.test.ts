/** A real Telegraf that sends to the API by both of its outputs for InfluxDB, as docs/API.md tells. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { t as file, type Test, test } from 'tap'
import type { MetricRecord } from '#telemetry/record'
import { Problem } from '#wire/problems'
import { stubBroker, type StubBroker, testApi, testKey } from '#test/api'
import { type Scope, start, temporaryFolder } from '#test/start'
import { skipWithout, telegrafPath, tools } from '#test/tools'

file.setTimeout(300_000)

const options = { skip: skipWithout(tools.telegraf), timeout: 240_000 }
const count = 500
const input = [
  ...Array.from(
    { length: count },
    (_, index) => `m,host=a\\ b,n=${index} v=${index},i=${index}i,u=${index}u 17528713540000${10_000 + index}`,
  ),
  'system,host=a up=true,uptime_format="1 day, 2\\" é",load1=0.5 1752871354000000000',
].join('\n')

const outputs = {
  influxdb_v2: (url: string) =>
    `[[outputs.influxdb_v2]]\nurls = ["${url}"]\ntoken = "${testKey}"\norganization = "o"\nbucket = "gpus"\ninflux_uint_support = true\n`,
  influxdb: (url: string) =>
    `[[outputs.influxdb]]\nurls = ["${url}"]\ndatabase = "gpus"\nusername = "any"\npassword = "${testKey}"\n` +
    'content_encoding = "identity"\ninflux_uint_support = true\n',
}

function telegraf(t: Scope, output: string, args: readonly string[]) {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'lines'), input)
  const agent =
    '[agent]\ninterval = "1s"\nflush_interval = "1s"\nflush_jitter = "0s"\nomit_hostname = true\nprecision = "1ns"\nmetric_batch_size = 200\n'
  const inputs = `[[inputs.file]]\nfiles = ["${join(folder, 'lines')}"]\ndata_format = "influx"\n`
  const config = join(folder, 'telegraf.conf')
  writeFileSync(config, agent + inputs + output)
  return start(t, telegrafPath, ['--config', config, ...args])
}

/** The records by what they are; Telegraf reads its file again and again. */
function ownOf({ produced }: StubBroker): Map<string, MetricRecord> {
  const records = produced.flatMap(({ lines }) => lines.map((line) => JSON.parse(line) as MetricRecord))
  return new Map(records.map((record) => [`${record.metric} ${record.tags['n']}`, record]))
}

function check(t: Test, broker: StubBroker, name: string) {
  const own = ownOf(broker)
  t.equal(own.size, 3 * count + 1, `${name}: every number is a record`)
  for (const field of ['v', 'i', 'u']) {
    t.match(own.get(`m_${field} 7`), {
      kind: 'metric',
      time: '2025-07-18T20:42:34.000010007Z',
      value: 7,
      tags: { host: 'a b', n: '7' },
    })
  }
  t.match(own.get('system_load1 undefined'), { value: 0.5, tags: { host: 'a' } })
}

for (const [name, output] of Object.entries(outputs)) {
  test(`outputs.${name}: every number arrives, and every other field is a dead letter`, options, async (t) => {
    const broker = await stubBroker(t)
    const api = await testApi(t, { env: { MSG_QUEUE_ADDR: broker.url } })
    const sender = telegraf(t, output(api.url), ['--once'])
    await sender.exited
    check(t, broker, name)
    t.match(broker.letters[0], { file: /write gpus$/, reason: /field up is true.*field uptime_format is a text/ })
    t.notMatch(sender.tail(), /E!|dropped/, 'and Telegraf has nothing to complain of')
  })

  test(`outputs.${name}: what the broker cannot take yet is sent again, and nothing is dropped`, options, async (t) => {
    const broker = await stubBroker(t)
    const api = await testApi(t, { env: { MSG_QUEUE_ADDR: broker.url } })
    const full = new Problem('partition_full', 'consumers are behind', { retry_after_s: 1 })
    for (const partition of [0, 1]) broker.refuse(partition, full)
    const sender = telegraf(t, output(api.url), [])
    await sender.waitFor((line) => /E!.*(429|503)/.test(line), 120_000)
    for (const partition of [0, 1]) broker.refuse(partition, undefined)
    await broker.until(() => ownOf(broker).size === 3 * count + 1)
    check(t, broker, name)
    t.notMatch(sender.tail(), /will be dropped/)
  })
}
