/** Groups over real processes: consumers that crash, stall, give back and acknowledge twice, and a broker that is killed. */

import { setTimeout as sleep } from 'node:timers/promises'

import { t as thisFile, test } from 'tap'

import { Client, Problem, type Message } from '#wire/client'

import { startRole, type StartedRole } from './start.ts'

const isFull = process.env['PENSTOCK_TEST_FULL'] === '1'

thisFile.setTimeout(isFull ? 1_200_000 : 600_000)

const workMs = isFull ? 60_000 : 10_000
const kills = isFull ? 12 : 3
const partitions = 4
const poison = 'poison'

/** What a group has been sent, and what was done to its consumers. */
interface Crew {
  readonly group: string
  readonly mode: 'exclusive' | 'shared'
  readonly received: Set<string>
  readonly done: Promise<unknown>
  crashes: number
  stalls: number
  givenBack: number
}

test('whatever consumers do, and however often the broker is killed, every record reaches every group', async (t) => {
  const env = { TOPICS: `work:partitions=${partitions}`, MAX_IN_FLIGHT: '500' }
  let broker = await startRole(t, 'broker', { env })
  const { dataDir, port, url } = broker
  const client = new Client({ url, timeoutMs: 10_000, backoff: { longestMs: 200 } })
  const stop = new AbortController()
  t.teardown(() => stop.abort())
  const untilMs = performance.now() + workMs
  const isCalm = (): boolean => performance.now() >= untilMs
  const crews = [startCrew('ordered', 'exclusive'), startCrew('free', 'shared')]
  const acknowledged = new Set<string>()

  function startCrew(group: string, mode: Crew['mode']): Crew {
    const crew = {
      group,
      mode,
      received: new Set<string>(),
      crashes: 0,
      stalls: 0,
      givenBack: 0,
      done: Promise.resolve(),
    }
    const workers = Array.from({ length: 4 }, (_, at) => work(crew, `${group}-${at}`))
    return Object.assign(crew, { done: Promise.all(workers) })
  }

  /** One consumer after the other under the same name: each lives until it crashes. */
  async function work(crew: Crew, consumer: string): Promise<void> {
    while (!stop.signal.aborted) {
      const crash = new AbortController()
      const signal = AbortSignal.any([stop.signal, crash.signal])
      const { group, mode } = crew
      const reader = client.consumer({ topic: 'work', group, mode, consumer, visibilityMs: 1_500, signal })
      for await (const messages of reader.batches()) {
        for (const { data } of messages) crew.received.add(data)
        const luck = isCalm() ? 1 : Math.random()
        const isPoisoned = mode === 'shared' && messages.some(({ data }) => data === poison)
        if (luck < 0.01 || isPoisoned) {
          crew.crashes++
          crash.abort()
          break
        }
        if (luck < 0.02) {
          crew.stalls++
          await sleep(2_000)
        }
        let ids = messages.map(({ id }) => id)
        if (luck < 0.1) {
          crew.givenBack++
          const [first, ...rest] = ids
          await settled(reader.nack([first as string]))
          ids = rest
        }
        await acknowledge(reader, mode, messages, ids)
        if (luck > 0.95) await acknowledge(reader, mode, messages, ids)
      }
    }
  }

  async function acknowledge(
    reader: ReturnType<Client['consumer']>,
    mode: Crew['mode'],
    messages: readonly Message[],
    ids: readonly string[],
  ): Promise<void> {
    if (ids.length === 0) return
    if (mode === 'shared') return settled(reader.ackEach(ids))
    await settled(reader.ack([...new Map(messages.map(({ partition, id }) => [partition, id])).values()]))
  }

  /** A refusal is an answer like any other: what is meant comes again. */
  async function settled(call: Promise<void>): Promise<void> {
    await call.catch((error: unknown) => {
      if (!(error instanceof Problem) && !stop.signal.aborted) throw error
    })
  }

  const producing = (async () => {
    const producer = client.producer({ topic: 'work', lingerMs: 0 })
    for (let n = 0; !isCalm(); n += 20) {
      const records = Array.from({ length: 20 }, (_, at) => ({ data: `r${n + at}`, partition: (n + at) % partitions }))
      if (n === 60) records.push({ data: poison, partition: 1 })
      await producer.send(records)
      for (const { data } of records) acknowledged.add(data)
      await sleep(20)
    }
  })()
  let killed = 0
  for (; killed < kills; killed++) {
    await sleep(workMs / (kills + 1))
    await broker.kill('SIGKILL')
    broker = await startRole(t, 'broker', { env: { ...env, DATA_DIR: dataDir, PORT: String(port) } })
  }
  await producing
  await until(broker, async () => (await lags(client)).every((lag) => lag === 0))
  const letters = await deadLetters(client, broker)
  for (const { group, received, crashes, stalls, givenBack } of crews) {
    const missing = [...acknowledged].filter((data) => !received.has(data))
    t.comment(
      `${group}: ${acknowledged.size} records, missing ${missing.length}, kills ${killed}, crashes ${crashes}, stalls ${stalls}, ` +
        `given back ${givenBack}, dead letters ${letters.filter((letter) => letter.group === group).length}`,
    )
    t.strictSame(missing, [])
  }
  t.strictSame(
    letters.filter(({ row }) => row === poison).map(({ group }) => group),
    ['free'],
    'what crashes its consumers is given up, once, and only where records are given up',
  )
  stop.abort()
  await Promise.all(crews.map(({ done }) => done))
})

async function lags(client: Client): Promise<number[]> {
  const { topics } = (await client.status()) as {
    topics: Record<string, { groups: Record<string, { lag: number; in_flight: number }> }>
  }
  return Object.values(topics['work']?.groups ?? {}).map(({ lag }) => lag)
}

async function until(broker: StartedRole, holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) {
    if (broker.hasExited()) throw new Error(`the broker has ended:\n${broker.tail()}`)
    await sleep(100)
  }
}

async function deadLetters(
  client: Client,
  broker: StartedRole,
): Promise<{ readonly group: string; readonly row: string }[]> {
  const dead = (await client.topics()).find(({ name }) => name === 'work.dead')
  const count = dead?.logs.reduce((sum, { next }) => sum + next, 0) ?? 0
  const stop = new AbortController()
  const letters: { readonly group: string; readonly row: string }[] = []
  if (count === 0) return letters
  const reader = client.consumer({ topic: 'work.dead', from: 'earliest', signal: stop.signal })
  for await (const messages of reader.batches()) {
    if (broker.hasExited()) throw new Error(broker.tail())
    letters.push(...messages.map(({ data }) => JSON.parse(data) as { group: string; row: string }))
    if (letters.length >= count) stop.abort()
  }
  return letters
}
