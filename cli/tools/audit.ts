/** `penstock audit`: whether broker, collector and store agree on every record. */

import { commonSettings, setting } from '#lib/settings'
import { type Account, accountsOf, findingsOf, readStoreSide } from '#store/accounts'
import { openStore } from '#store/open'
import { isEmbedded, storePlace } from '#store/settings'
import { command } from '../command.ts'
import { storeDirOf } from './store_dir.ts'
import { type Column, formatTable } from '../table.ts'
import { brokerAliases, brokerSettings, brokerVariables, withBroker } from './broker.ts'

const columns: readonly Column<Account>[] = [
  { head: 'TOPIC', of: ({ topic }) => topic },
  { head: 'PRODUCED', of: ({ produced }) => produced },
  { head: 'RECEIVED', of: ({ counts }) => counts.received },
  { head: 'STORED', of: ({ counts }) => counts.stored },
  { head: 'DUPLICATE', of: ({ counts }) => counts.duplicate },
  { head: 'NOT REPORTED', of: ({ counts }) => counts.not_reported },
  { head: 'DEAD', of: ({ counts }) => counts.dead },
  { head: 'PENDING', of: ({ pending }) => pending },
  { head: 'REMOVED', of: ({ removed }) => removed },
]

const { dataDir } = commonSettings

export const audit = command({
  name: 'audit',
  about: `Compares what the broker, the collector and the store say of the records of each topic, and says where they
differ. Every record that the collector received is stored, a duplicate, not reported or dead; what it has not
received yet is pending; what the broker removed before, or lost, is removed.

It changes nothing, and may run beside a pipeline that works. The status is 1 where something differs.
`,
  more: `  penstock audit
  penstock audit --addr http://127.0.0.1:8081 --data-dir data
`,
  settings: {
    ...brokerSettings,
    group: setting.text('GROUP', { help: 'the group of the collector', default: 'collector' }),
    dataDir,
    ...storePlace,
    json: setting.boolean('JSON', { help: 'one JSON object instead of a table', default: 'false' }),
  },
  aliases: brokerAliases,
  reads: [...brokerVariables, 'DATA_DIR', 'GROUP', ...Object.values(storePlace).map(({ name }) => name)],
  run: (settings, io) =>
    withBroker(settings, io, async (client) => {
      const { topics: figures = {} } = await client.status()
      const dataDir = isEmbedded(settings) ? storeDirOf(settings.dataDir, io) : settings.dataDir
      const store = await openStore({ ...settings, dataDir }, { readOnly: true })
      try {
        const { totals, rows } = await readStoreSide(store, true)
        const topics = await client.topics()
        const accounts = accountsOf({ topics, status: { topics: figures }, logs: totals.logs, group: settings.group })
        const findings = findingsOf(accounts, rows)
        if (settings.json) io.stdout.write(`${JSON.stringify({ topics: accounts, rows, findings })}\n`)
        else {
          io.stdout.write(formatTable(columns, accounts))
          for (const finding of findings) io.stdout.write(`DIFFERS: ${finding}\n`)
          if (findings.length === 0) io.stdout.write(`all agree (${store.engine})\n`)
        }
        return findings.length === 0 ? 0 : 1
      } finally {
        await store.close()
      }
    }),
})
