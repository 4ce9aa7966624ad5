/** All commands, each loaded when it is called: a role must not wait for the code of the others. */

import type { Command } from './command.ts'
import { roleCommand } from './roles.ts'

export interface CommandRow {
  readonly summary: string
  load(): Promise<Command>
}

export const commands: Readonly<Record<string, CommandRow>> = {
  up: {
    summary: 'start everything on this machine and keep it running (what npm start does)',
    load: async () => (await import('./up/command.ts')).upCommand(),
  },
  broker: { summary: 'role: keep the logs of the topics', load: () => roleCommand('broker') },
  proxy: { summary: 'role: one address for all brokers', load: () => roleCommand('proxy') },
  streamer: { summary: 'role: read sources and send their rows to the broker', load: () => roleCommand('streamer') },
  collector: { summary: 'role: write what the broker has to the store', load: () => roleCommand('collector') },
  api: {
    summary: 'role: answer by HTTP what the store holds, and serve the dashboard',
    load: () => roleCommand('api'),
  },
  produce: {
    summary: 'send records to a topic',
    load: async () => (await import('./tools/produce.ts')).produce,
  },
  tail: {
    summary: 'print the records of a topic as they come',
    load: async () => (await import('./tools/tail.ts')).tail,
  },
  topics: {
    summary: 'list the topics of a broker',
    load: async () => (await import('./tools/topics.ts')).topics,
  },
  lag: {
    summary: 'show how far behind each group is',
    load: async () => (await import('./tools/lag.ts')).lag,
  },
  ring: {
    summary: 'show the brokers behind a proxy, and what each owns',
    load: async () => (await import('./tools/ring.ts')).ring,
  },
  drain: {
    summary: 'empty a broker, so that it can be removed',
    load: async () => (await import('./tools/drain.ts')).drain,
  },
  mirror: {
    summary: 'forward topics from one broker to another, as from a site to the center',
    load: async () => (await import('./tools/mirror.ts')).mirror,
  },
  dead: {
    summary: 'list dead letters, send their records again, or put them away',
    load: async () => (await import('./tools/dead.ts')).dead,
  },
  keys: {
    summary: 'make, list, rotate and end keys of the API',
    load: async () => (await import('./tools/keys.ts')).keys,
  },
  audit: {
    summary: 'compare what the broker, the collector and the store say of each record',
    load: async () => (await import('./tools/audit.ts')).audit,
  },
  log: {
    summary: 'check, print or repair the files of a broker that is stopped',
    load: async () => (await import('./tools/log.ts')).log,
  },
  query: {
    summary: 'show the newest values of the store',
    load: async () => (await import('./tools/query.ts')).query,
  },
  store: {
    summary: 'report on, check, copy or compact the embedded store',
    load: async () => (await import('./tools/store.ts')).store,
  },
  doctor: {
    summary: 'say what is wrong here, and how to mend it',
    load: async () => (await import('./doctor/command.ts')).doctor,
  },
  sample: {
    summary: 'write sample files of a fleet that does not exist',
    load: async () => (await import('./tools/sample.ts')).sample,
  },
}
