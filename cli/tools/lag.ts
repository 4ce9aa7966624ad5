/** `penstock lag`: how far behind each group is. */

import { setting } from '#lib/settings'
import type { GroupLogStatus, GroupStatus, QueueStatus } from '#wire/status'
import { command } from '../command.ts'
import { formatTable, type Column } from '../table.ts'
import { brokerAliases, brokerSettings, brokerVariables, withBroker } from './broker.ts'

interface Row {
  readonly topic: string
  readonly group: string
  readonly status: GroupStatus
  readonly log?: GroupLogStatus
}

const groupColumns: readonly Column<Row>[] = [
  { head: 'TOPIC', of: (row) => row.topic },
  { head: 'GROUP', of: (row) => row.group },
  { head: 'MODE', of: (row) => row.status.mode },
  { head: 'LAG', of: (row) => row.status.lag },
  { head: 'IN FLIGHT', of: (row) => row.status.in_flight },
  { head: 'CONSUMERS', of: (row) => row.status.consumers },
]

const logColumns: readonly Column<Row>[] = [
  { head: 'TOPIC', of: (row) => row.topic },
  { head: 'GROUP', of: (row) => row.group },
  { head: 'PARTITION', of: (row) => row.log?.partition },
  { head: 'ACKNOWLEDGED BELOW', of: (row) => row.log?.floor },
  { head: 'LAG', of: (row) => row.log?.lag },
  { head: 'CONSUMER', of: (row) => row.log?.holder },
]

export const lag = command({
  name: 'lag',
  about: `Shows how many records of a topic each group has not acknowledged yet.
`,
  settings: {
    ...brokerSettings,
    partitions: setting.boolean('PARTITIONS', { help: 'a line for each partition', default: 'false' }),
    json: setting.boolean('JSON', { help: 'a JSON object a line instead of a table', default: 'false' }),
  },
  aliases: brokerAliases,
  reads: brokerVariables,
  run: (settings, io) =>
    withBroker(settings, io, async (client) => {
      const rows = rowsOf(await client.status())
      if (settings.json) {
        io.stdout.write(
          rows.map(({ topic, group, status }) => `${JSON.stringify({ topic, group, ...status })}\n`).join(''),
        )
      } else if (rows.length === 0) io.stderr.write('no group has read a topic of this broker yet\n')
      else if (settings.partitions) {
        const logs = rows.flatMap((row) => row.status.logs.map((log) => ({ ...row, log })))
        io.stdout.write(formatTable(logColumns, logs))
      } else io.stdout.write(formatTable(groupColumns, rows))
      return 0
    }),
})

function rowsOf({ topics = {} }: QueueStatus): Row[] {
  return Object.entries(topics).flatMap(([topic, { groups }]) =>
    Object.entries(groups).map(([group, status]) => ({ topic, group, status })),
  )
}
