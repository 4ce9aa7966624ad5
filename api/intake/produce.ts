/** `POST /telemetry`: the body's records, to the partitions that their keys name, answered when all are acknowledged. */

import { type Partition, partitionOfKey } from '#wire/ids'
import { Problem } from '#wire/problems'
import { type RetryOptions, retry } from '#wire/retry'
import { retryAfterMs, type Transport } from '#wire/transport'
import type { Handler } from '../call.ts'
import { type Intake, intakeOf } from './intake.ts'

/** How long a topic's number of partitions is taken for known: it may be raised, and keys map anew then. */
const partitionsMs = 60_000

/** How long a broker that is away is waited for, before the client is told. */
const retryForMs = 3_000

interface Produced {
  readonly id: string
  readonly count: number
}

export function telemetryHandler(transport: Transport, topic: string): Handler<'postTelemetry'> {
  let known: { readonly partitions: number; readonly untilMs: number } | undefined

  async function partitionsOf(options: RetryOptions, nowMs: number): Promise<number> {
    if (known !== undefined && nowMs < known.untilMs) return known.partitions
    const { topics } = await retry(
      () => transport.json<{ topics: { name: string; partitions: number }[] }>('GET', '/topics'),
      options,
    )
    const partitions = topics.find(({ name }) => name === topic)?.partitions
    if (partitions === undefined) throw new Problem('unknown_topic', `the broker has no topic ${topic}`)
    known = { partitions, untilMs: nowMs + partitionsMs }
    return partitions
  }

  return async ({ body, nowMs, signal, bounds }) => {
    bounds.needTopic(topic)
    const inputs = Array.isArray(body) ? body : [body]
    const intakes = inputs.map((input, index) => {
      const intake = intakeOf(input, nowMs)
      const where = Array.isArray(body) ? `record ${index + 1} of ${inputs.length}: ` : ''
      if (!('refused' in intake)) {
        bounds.needRecord(intake.record, where)
        return intake
      }
      throw new Problem('bad_record', `${where}${intake.refused}`, { line: index + 1 })
    })
    const options = { backoff: transport.backoff, forMs: retryForMs, signal, again: retryAfterMs }
    const count = await partitionsOf(options, nowMs)
    const byPartition = Map.groupBy(
      intakes.map((intake, place) => ({ intake, place })),
      ({ intake }) => partitionOfKey(intake.key, count),
    )
    const ids: string[] = Array.from({ length: intakes.length }, () => '')
    const sends = [...byPartition].map(async ([partition, own]) => {
      const sent = await send(
        partition,
        own.map(({ intake }) => intake),
        options,
      )
      own.forEach(({ place }, index) => (ids[place] = sent[index] as string))
    })
    // All are waited for: an answer must not go out while a part is still on its way.
    for (const result of await Promise.allSettled(sends)) if (result.status === 'rejected') throw result.reason
    return { accepted: ids.length, ids }
  }

  /** The ids of the records. A repeated try may write them twice, which a store does not see: their identity is the same. */
  async function send(partition: Partition, intakes: readonly Intake[], options: RetryOptions): Promise<string[]> {
    const call = {
      query: { topic, partition },
      headers: { 'content-type': 'application/x-ndjson' },
      body: intakes.map(({ data }) => data).join('\n'),
      signal: options.signal,
    }
    const { id } = await retry(() => transport.json<Produced>('POST', '/produce', call), options)
    const [broker, own, first] = id.split('/')
    return intakes.map((_, index) => `${broker}/${own}/${Number(first) + index}`)
  }
}
