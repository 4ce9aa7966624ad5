/** `penstock topics`: what a broker has; `topics create` and `topics set` make and change it. */

import { setting } from '#lib/settings'
import type { Client, TopicInfo, TopicOptions } from '#wire/client'
import { UsageError } from '../args.ts'
import { command, type Io } from '../command.ts'
import { formatBytes, formatTable, printable } from '../table.ts'
import { brokerAliases, brokerSettings, brokerVariables, withBroker } from './broker.ts'

/** What is right in these the broker knows, and says. */
const optionSettings = {
  partitions: setting.integer('PARTITIONS', {
    help: 'how many; they can be raised, never lowered',
    min: 1,
    max: 10_000,
  }),
  durability: setting.choice('DURABILITY', {
    help: 'what an acknowledged record survives: power loss, a killed process, nothing but a graceful stop',
    values: ['fsync', 'disk', 'memory'],
  }),
  retention: setting.choice('RETENTION', {
    help: 'by age and size; or besides, what every group has acknowledged goes at once',
    values: ['time', 'acknowledged'],
  }),
  retentionBytes: setting.text('RETENTION_BYTES', { help: 'what a partition keeps at most, or none', want: 'a size' }),
  retentionAge: setting.text('RETENTION_AGE', { help: 'how long records are kept, or none', want: 'a duration' }),
  maxBytes: setting.text('MAX_BYTES', { help: 'a partition that has grown to this takes no more', want: 'a size' }),
  strict: setting.choice('STRICT', {
    help: 'true: while the owner of a partition is away, the partition takes nothing, so that order holds',
    values: ['true', 'false'],
  }),
}

export const topics = command({
  name: 'topics',
  usage: '[create NAME | set NAME]',
  about: `Lists the topics of a broker. RECORDS are those that it still keeps, KEPT says for how long and how much of
a partition. create makes a topic, set changes one; by a proxy on every broker.
`,
  more: `  penstock topics create notes --partitions 8 --durability disk --retention-age 30d
  penstock topics set notes --retention acknowledged --retention-bytes 100GiB
`,
  settings: {
    ...brokerSettings,
    ...optionSettings,
    json: setting.boolean('JSON', { help: 'a JSON object a line instead of a table', default: 'false' }),
  },
  aliases: brokerAliases,
  reads: brokerVariables,
  positionals: { max: 2 },
  async run(settings, io, { positionals: [action, name] }) {
    const options = {
      partitions: settings.partitions,
      durability: settings.durability,
      retention: settings.retention,
      retention_bytes: settings.retentionBytes,
      retention_age: settings.retentionAge,
      max_bytes: settings.maxBytes,
      strict: settings.strict === undefined ? undefined : settings.strict === 'true',
    }
    checkUsage(action, name, options)
    return withBroker(settings, io, async (client) => {
      if (action === undefined) list(await client.topics(), settings.json, io)
      else await change(client, action, name as string, options, settings.json, io)
      return 0
    })
  },
})

function checkUsage(action: string | undefined, name: string | undefined, options: TopicOptions): void {
  if (action !== undefined && action !== 'create' && action !== 'set') {
    throw new UsageError([`unexpected ${JSON.stringify(action)}: want create NAME, set NAME, or nothing to list`])
  }
  const isGiven = Object.values(options).some((value) => value !== undefined)
  if (action !== undefined && name === undefined) throw new UsageError([`${action} wants the name of a topic`])
  if (action === 'set' && !isGiven) throw new UsageError(['set wants what to change, such as --retention-age 30d'])
  if (action === undefined && isGiven) throw new UsageError(['to make or change a topic: create NAME, or set NAME'])
}

async function change(
  client: Client,
  action: string,
  name: string,
  options: TopicOptions,
  asJson: boolean,
  io: Io,
): Promise<void> {
  const topic = await (action === 'create' ? client.createTopic(name, options) : client.changeTopic(name, options))
  if (asJson) {
    io.stdout.write(`${JSON.stringify(topic)}\n`)
    return
  }
  const { note, keys_map_anew: _, ...said } = topic
  for (const [option, value] of Object.entries(said)) io.stdout.write(`${printable(`${option.padEnd(16)} ${value}`)}\n`)
  if (note !== undefined) io.stderr.write(`penstock: ${printable(note)}\n`)
}

function list(rows: readonly TopicInfo[], asJson: boolean, io: Io): void {
  if (asJson) {
    io.stdout.write(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
    return
  }
  const table = formatTable(
    [
      { head: 'TOPIC', of: (row) => row.name },
      { head: 'PARTITIONS', of: (row) => row.partitions },
      { head: 'RECORDS', of: (row) => row.logs.reduce((sum, log) => sum + (log.records ?? log.next - log.first), 0) },
      {
        head: 'SIZE',
        of: (row) => formatBytes(row.logs.reduce((sum, log) => sum + log.bytes, 0)),
        align: 'right',
      },
      { head: 'DURABILITY', of: (row) => row.durability },
      { head: 'KEPT', of: keptOf },
      { head: 'GROUPS', of: (row) => row.groups.join(' ') },
    ],
    rows,
  )
  io.stdout.write(table)
}

/** `7d, 4GiB`. */
function keptOf({ retention, retention_age: age, retention_bytes: bytes }: TopicInfo): string {
  const limits = [age, bytes].filter((limit) => limit !== undefined && limit !== 'none')
  return [...(retention === 'acknowledged' ? ['unacknowledged'] : []), ...limits].join(', ')
}
