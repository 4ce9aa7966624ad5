/** `penstock tail`: the records of a topic as they come, for eyes and for pipes. */

import { setting } from '#lib/settings'
import type { Message } from '#wire/client'
import { command } from '../command.ts'
import { printable } from '../table.ts'
import { brokerAliases, brokerSettings, brokerVariables, topicNamed, withBroker } from './broker.ts'

export const tail = command({
  name: 'tail',
  usage: 'TOPIC',
  about: `Prints the records of a topic, one a line, from now on or from where --from says. Without --group it
only looks: it leaves no trace. With --group it takes the records away from the group's other
consumers, and acknowledges what it has printed.
`,
  more: `  penstock tail telemetry --from earliest | head
  penstock tail telemetry.dead --from earliest
  penstock tail transfers --ids --partition 2
`,
  settings: {
    ...brokerSettings,
    from: setting.text('FROM', { help: 'earliest, latest, a time (RFC 3339), or ids, one a log, to go on after them' }),
    group: setting.text('GROUP', { help: 'read as a consumer of this group' }),
    partition: setting.integer('PARTITION', { help: 'only this partition', min: 0, max: 9_999 }),
    max: setting.integer('MAX', { help: 'end after this many records', min: 1 }),
    ids: setting.boolean('IDS', { help: 'the id of each record before it', default: 'false' }),
  },
  aliases: brokerAliases,
  reads: brokerVariables,
  positionals: { min: 1, max: 1 },
  run: (settings, io, { positionals: [topic = ''] }) =>
    withBroker(settings, io, async (client) => {
      await topicNamed(client, topic)
      const { from, group, partition, ids, max = Infinity } = settings
      const done = new AbortController()
      const signal = AbortSignal.any([io.signal, done.signal])
      const consumer = client.consumer({
        topic,
        signal,
        ...(from === undefined ? {} : { from }),
        ...(group === undefined ? {} : { group }),
        ...(partition === undefined ? {} : { partition }),
      })
      const show = io.stdout.isTTY ? printable : (text: string) => text
      let printed = 0
      try {
        for await (const batch of consumer.batches()) {
          const messages = batch.slice(0, max - printed)
          io.stdout.write(messages.map(({ id, data }) => `${ids ? `${id} ` : ''}${show(data)}\n`).join(''))
          printed += messages.length
          if (group !== undefined) await consumer.ack(lastOfEachLog(messages))
          if (printed >= max) break
        }
      } catch (error) {
        if (!io.signal.aborted) throw error
      } finally {
        done.abort()
      }
      return 0
    }),
})

/** A cumulative acknowledgement names one id a log. */
function lastOfEachLog(messages: readonly Message[]): string[] {
  const last = new Map<string, string>()
  for (const { id, broker, partition } of messages) last.set(`${broker}/${partition}`, id)
  return [...last.values()]
}
