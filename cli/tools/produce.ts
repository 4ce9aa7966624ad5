/** `penstock produce`: records from the command line or from standard input into a topic. */

import type { Readable } from 'node:stream'
import { setting } from '#lib/settings'
import { command, type Io } from '../command.ts'
import { LineSplitter } from '../lines.ts'
import { Progress } from '../progress.ts'
import { formatNumber } from '../table.ts'
import { brokerAliases, brokerSettings, brokerVariables, topicNamed, withBroker } from './broker.ts'

/** Records on their way at once: enough for full batches, few enough to fit in memory whatever comes. */
const unsentMax = 20_000

export const produce = command({
  name: 'produce',
  usage: 'TOPIC [RECORD …]',
  about: `Sends records to a topic: the words behind its name, or the lines of standard input, a record a line
(NDJSON, or any text). It ends when the broker has acknowledged all of them.
`,
  more: `  penstock produce telemetry '{"metric":"DCGM_FI_DEV_POWER_USAGE","uuid":"GPU-1","hostname":"node-1","gpu_id":"0",
    "time":"2026-01-01T00:00:00Z","value":412}'
  penstock produce notes --key rack-7 < notes.txt
`,
  settings: {
    ...brokerSettings,
    key: setting.text('KEY', { help: 'records of one key go to one partition, in order' }),
    partition: setting.integer('PARTITION', { help: 'to this partition', min: 0, max: 9_999 }),
  },
  aliases: brokerAliases,
  reads: brokerVariables,
  positionals: { min: 1, max: Infinity },
  run: (settings, io, { positionals: [topic = '', ...records] }) =>
    withBroker(settings, io, async (client) => {
      await topicNamed(client, topic)
      const { key, partition } = settings
      const producer = client.producer({ topic, signal: io.signal })
      const progress = new Progress(io.stderr)
      if (records.length === 0 && io.stdin.isTTY === true) io.stderr.write('a record a line, Ctrl-D at the end\n')
      let sent = 0
      let unsent = 0
      let pending: Promise<void>[] = []
      for await (const lines of records.length > 0 ? [records] : linesOf(io.stdin)) {
        const outgoing = lines
          .filter((line) => line !== '')
          .map((data) => ({
            data,
            ...(key === undefined ? {} : { key }),
            ...(partition === undefined ? {} : { partition }),
          }))
        if (outgoing.length === 0) continue
        pending.push(watched(producer.send(outgoing)))
        unsent += outgoing.length
        if (unsent < unsentMax) continue
        await Promise.all(pending)
        sent += unsent
        ;[pending, unsent] = [[], 0]
        progress.update(`sent ${formatNumber(sent)} records`)
      }
      await Promise.all(pending)
      await producer.close()
      progress.clear()
      const total = sent + unsent
      io.stdout.write(`sent ${formatNumber(total)} ${total === 1 ? 'record' : 'records'} to ${topic}\n`)
      return 0
    }),
})

/** A refusal is thrown where it is awaited, later; until then it must not count as unhandled. */
function watched(promise: Promise<void>): Promise<void> {
  promise.catch(() => {})
  return promise
}

async function* linesOf(input: Io['stdin'] & Readable): AsyncGenerator<string[]> {
  const splitter = new LineSplitter()
  for await (const piece of input) yield splitter.feed(piece as Buffer)
  yield splitter.end()
}
