/** `penstock drain N`: a broker takes nothing new, until every group has read what it has. */

import { setTimeout as sleep } from 'node:timers/promises'
import { setting } from '#lib/settings'
import type { Client, TopicInfo } from '#wire/client'
import { lagOf } from '#wire/lag'
import type { TopicStatus } from '#wire/status'
import { UsageError } from '../args.ts'
import { command, type Io } from '../command.ts'
import { Progress } from '../progress.ts'
import { printable } from '../table.ts'
import { brokerAliases, brokerSettings, brokerVariables, withBroker } from './broker.ts'

/** Between two looks at what is left. */
const lookMs = 500

/** What still keeps a broker from being removed, or goes with it. */
interface Left {
  /** Records that a group has not acknowledged, and letters that are open: `telemetry: collector 1203`. */
  readonly waiting: string[]
  /** Topics with records that no group reads. */
  readonly unread: string[]
}

export const drain = command({
  name: 'drain',
  usage: 'N',
  about: `Empties broker N, so that it can be removed: nothing new goes to it, and its records are consumed and
acknowledged as before. Ends when every group has acknowledged all of them and no dead letter is open there.
The broker goes on draining when this command is ended before, and when it is restarted itself.
`,
  more: `  penstock drain 2
  penstock drain 2 --undo
`,
  settings: {
    ...brokerSettings,
    undo: setting.boolean('UNDO', { help: 'the broker takes records again', default: 'false' }),
  },
  aliases: brokerAliases,
  reads: brokerVariables,
  positionals: { min: 1, max: 1 },
  run: (settings, io, { positionals: [text = ''] }) => {
    if (!/^\d{1,5}$/.test(text)) throw new UsageError([`want the number of a broker, not ${JSON.stringify(text)}`])
    const broker = Number(text)
    return withBroker(settings, io, async (client) => {
      await client.drain(broker, !settings.undo)
      if (settings.undo) io.stdout.write(`broker ${broker} takes records again\n`)
      else await untilEmpty(client, broker, io)
      return 0
    })
  },
})

async function untilEmpty(client: Client, broker: number, io: Io): Promise<void> {
  const progress = new Progress(io.stderr)
  io.stderr.write(`broker ${broker} takes nothing new; waiting until what it has is acknowledged\n`)
  // Twice in a row: a record that was on its way when the draining began is in no figure of the first look.
  for (let empty = 0; ;) {
    const left = await look(client, broker)
    if (typeof left === 'string') {
      empty = 0
      progress.update(left)
    } else if (left.waiting.length > 0) {
      empty = 0
      progress.update(`broker ${broker}: left in ${left.waiting.join('; ')}`)
    } else if (++empty === 2) {
      progress.clear()
      for (const topic of left.unread) {
        io.stderr.write(`${printable(topic)} has records there that no group reads: they go with the broker\n`)
      }
      io.stdout.write(`broker ${broker} is empty and can be removed\n`)
      return
    }
    await sleep(lookMs, undefined, { signal: io.signal })
  }
}

/** What is left on a broker; a text while it cannot be said. */
async function look(client: Client, broker: number): Promise<Left | string> {
  const topics = await client.topics()
  const status = await client.status()
  const member = status.members?.find((each) => each.broker === broker)
  if (status.members !== undefined && member?.state !== 'draining') {
    return `broker ${broker} is ${member?.state ?? 'not known'}: ${member?.reason ?? 'waiting for it'}`
  }
  const left: Left = { waiting: [], unread: [] }
  for (const topic of topics) await addTopic(client, broker, topic, status.topics?.[topic.name], left)
  return left
}

async function addTopic(
  client: Client,
  broker: number,
  topic: TopicInfo,
  status: TopicStatus | undefined,
  { waiting, unread }: Left,
): Promise<void> {
  if (topic.dead_letters === true) {
    const open = (status?.open ?? 0) === 0 ? 0 : await openLetters(client, broker, topic.name)
    if (open > 0) waiting.push(`${topic.name}: ${open} letters that nobody has dealt with (penstock dead)`)
    return
  }
  const logs = topic.logs.filter((log) => log.broker === broker)
  const groups = Object.entries(status?.groups ?? {})
  for (const [name, group] of groups) {
    const lag = lagOf(logs, group.logs)
    if (lag > 0) waiting.push(`${topic.name}: ${name} ${lag}`)
  }
  const records = logs.reduce((sum, log) => sum + (log.records ?? 0), 0)
  if (groups.length === 0 && records > 0) unread.push(topic.name)
}

async function openLetters(client: Client, broker: number, deadTopic: string): Promise<number> {
  const topic = deadTopic.replace(/\.dead$/, '')
  let count = 0
  let after: string | null = null
  do {
    const page: Awaited<ReturnType<Client['letters']>> = await client.letters(topic, {
      limit: 1000,
      ...(after === null ? {} : { after }),
    })
    count += page.letters.filter(({ id }) => id.startsWith(`${broker}/`)).length
    after = page.next
  } while (after !== null)
  return count
}
