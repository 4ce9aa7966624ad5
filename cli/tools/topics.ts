/** `penstock topics`: what a broker has. */

import { setting } from '#lib/settings'
import { command } from '../command.ts'
import { formatBytes, formatTable } from '../table.ts'
import { brokerAliases, brokerSettings, brokerVariables, withBroker } from './broker.ts'

export const topics = command({
  name: 'topics',
  about: `Lists the topics of a broker. RECORDS are those that it still keeps.
`,
  settings: {
    ...brokerSettings,
    json: setting.boolean('JSON', { help: 'a JSON object a line instead of a table', default: 'false' }),
  },
  aliases: brokerAliases,
  reads: brokerVariables,
  run: (settings, io) =>
    withBroker(settings, io, async (client) => {
      const rows = await client.topics()
      if (settings.json) io.stdout.write(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
      else {
        const table = formatTable(
          [
            { head: 'TOPIC', of: (row) => row.name },
            { head: 'PARTITIONS', of: (row) => row.partitions },
            { head: 'RECORDS', of: (row) => row.logs.reduce((sum, log) => sum + log.next - log.first, 0) },
            {
              head: 'SIZE',
              of: (row) => formatBytes(row.logs.reduce((sum, log) => sum + log.bytes, 0)),
              align: 'right',
            },
            { head: 'DURABILITY', of: (row) => row.durability },
            { head: 'GROUPS', of: (row) => row.groups.join(' ') },
          ],
          rows,
        )
        io.stdout.write(table)
      }
      return 0
    }),
})
