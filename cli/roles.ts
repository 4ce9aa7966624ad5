/** The roles as commands: the table of settings of each, and the door behind which it runs. */

import type { Settings, SettingTable } from '#lib/settings'
import type { Given } from '#streamer/main'
import { command, type Command } from './command.ts'

interface Role<Table extends SettingTable> {
  readonly about: string
  settings(): Promise<Table>
  main(): Promise<(settings: Settings<Table>, signal: AbortSignal, given: Given) => Promise<void>>
}

function role<Table extends SettingTable>(
  row: Role<Table>,
): Role<Table> & { asCommand(name: string): Promise<Command> } {
  return {
    ...row,
    async asCommand(name) {
      return command({
        name,
        about: row.about,
        settings: await row.settings(),
        async run(settings, io) {
          const run = await row.main()
          await run(settings, io.signal, { input: () => io.stdin, isSupervised: io.isSupervised })
          return 0
        },
      })
    },
  }
}

export const roles = {
  broker: role({
    about: `Keeps the logs of the topics: takes records, keeps them on disk, and streams them to readers and
groups. docs/PROTOCOL.md says how to talk to it.
`,
    settings: async () => (await import('#broker/settings')).brokerSettings,
    main: async () => (await import('#broker/main')).run,
  }),
  proxy: role({
    about: `One address for all brokers: sends each record to the broker that owns its partition, puts the streams of
all brokers together, and goes round a broker that is down.
`,
    settings: async () => (await import('#proxy/settings')).proxySettings,
    async main() {
      const { run } = await import('#proxy/main')
      return (settings, signal) => run(settings, signal)
    },
  }),
  streamer: role({
    about: `Reads sources (DCGM exports, nvidia-smi and transfer logs in CSV, plain, .gz or .zst) and sends their rows to the broker.
It remembers how far it is: started again, it goes on there. Standard input (--csv -) it reads to its
end, and then ends itself.
`,
    settings: async () => (await import('#streamer/settings')).streamerSettings,
    main: async () => (await import('#streamer/main')).run,
  }),
  collector: role({
    about: `Takes the records from the broker, checks them, writes them to the store, and then acknowledges them.
`,
    settings: async () => (await import('#collector/settings')).collectorSettings,
    main: async () => (await import('#collector/main')).run,
  }),
  api: role({
    about: `Answers by HTTP what the store holds, streams what comes in, takes records, and serves the dashboard.
/swagger/ shows its routes, docs/API.md how to call them.
`,
    settings: async () => (await import('#api/settings')).apiSettings,
    main: async () => (await import('#api/main')).run,
  }),
} as const

export type RoleName = keyof typeof roles

export function roleCommand(name: RoleName): Promise<Command> {
  return roles[name].asCommand(name)
}
