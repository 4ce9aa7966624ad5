/** `penstock ring`: the brokers behind a proxy, and which of them owns what. */

import { setting } from '#lib/settings'
import { Problem } from '#wire/problems'
import type { RingAnswer } from '#wire/ring'
import type { QueueStatus } from '#wire/status'
import { command } from '../command.ts'
import { formatTable, type Column } from '../table.ts'
import { brokerAliases, brokerSettings, brokerVariables, withBroker } from './broker.ts'

type Member = RingAnswer['members'][number]

interface Row extends Member {
  /** How many partitions it owns, of all topics but dead letters. */
  readonly owns: number
  readonly reason?: string
}

interface Owned {
  readonly topic: string
  readonly partition: number
  readonly owner: number
  readonly member: Member | undefined
}

const memberColumns: readonly Column<Row>[] = [
  { head: 'BROKER', of: (row) => row.broker },
  { head: 'STATE', of: (row) => row.state },
  { head: 'TAKES RECORDS', of: (row) => (row.writable ? 'yes' : 'no') },
  { head: 'PARTITIONS', of: (row) => row.owns },
  { head: 'ADDRESS', of: (row) => row.url },
  { head: 'WHY', of: (row) => row.reason },
]

const ownedColumns: readonly Column<Owned>[] = [
  { head: 'TOPIC', of: (row) => row.topic },
  { head: 'PARTITION', of: (row) => row.partition },
  { head: 'OWNER', of: (row) => row.owner },
  { head: 'STATE', of: (row) => row.member?.state },
  { head: 'ADDRESS', of: (row) => row.member?.url },
]

export const ring = command({
  name: 'ring',
  about: `Shows the brokers behind a proxy: the state of each, and how many partitions it
owns. The address must be a proxy's.
`,
  settings: {
    ...brokerSettings,
    partitions: setting.boolean('PARTITIONS', { help: 'a line for each partition', default: 'false' }),
    json: setting.boolean('JSON', { help: 'the table of GET /ring as it is, on one line', default: 'false' }),
  },
  aliases: brokerAliases,
  reads: brokerVariables,
  run: (settings, io) =>
    withBroker(settings, io, async (client) => {
      const table = await client.ring().catch((error: unknown) => {
        if (!(error instanceof Problem) || error.code !== 'not_found') throw error
        throw new Error(`${settings.addr} is a broker, which knows no other: give a proxy’s address with --addr`)
      })
      if (settings.json) io.stdout.write(`${JSON.stringify(table)}\n`)
      else if (settings.partitions) io.stdout.write(formatTable(ownedColumns, ownedIn(table)))
      else io.stdout.write(formatTable(memberColumns, rowsOf(table, reasonsIn(await client.status()))))
      if (!table.complete) io.stderr.write('not all brokers have told their numbers yet\n')
      return 0
    }),
})

function rowsOf(table: RingAnswer, reasons: ReadonlyMap<string, string>): Row[] {
  const owned = ownedIn(table).filter(({ topic }) => !topic.endsWith('.dead'))
  return table.members.map((member) => {
    const reason = reasons.get(member.url)
    const owns = owned.filter(({ owner }) => owner === member.broker).length
    return { ...member, owns, ...(reason === undefined ? {} : { reason }) }
  })
}

function ownedIn({ topics, members }: RingAnswer): Owned[] {
  const byBroker = new Map(members.map((member) => [member.broker, member]))
  return Object.entries(topics).flatMap(
    ([topic, table]) =>
      table?.owners.map((owner, partition) => ({ topic, partition, owner, member: byBroker.get(owner) })) ?? [],
  )
}

/** Why members are not up, by address: `GET /status` tells it. */
function reasonsIn({ members = [] }: QueueStatus): ReadonlyMap<string, string> {
  return new Map(members.flatMap(({ url, reason }) => (reason === undefined ? [] : [[url, reason]])))
}
