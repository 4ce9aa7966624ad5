/**
 * Real brokers behind a proxy that looks them up, under a constant load of several producers and two groups, while everything
 * happens to them that happens to brokers. It counts, and prints what it counted.
 */

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { t as file, test } from 'tap'

import { readSettings } from '#lib/settings'
import { token, until } from '#test/cluster'
import { freePort } from '#test/listen'
import { Relay } from '#test/relay'
import { startPenstock, startRole, type Scope, type StartedRole } from '#test/start'
import { Client } from '#wire/client'

import { run } from './main.ts'
import { proxySettings } from './settings.ts'

const isFull = process.env['PENSTOCK_TEST_FULL'] === '1'

file.setTimeout(600_000)

const topic = 'load'
const partitions = 6
/** Records that each partition must take while something is wrong, before it is mended. */
const progress = isFull ? 30 : 10

/** Brokers as pods: at addresses of their own, another one after each start, and one name for all of them. */
class Pods {
  readonly #t: Scope
  readonly #port: number
  readonly #pods = new Map<number, { readonly role: StartedRole; readonly relay: Relay; readonly address: string }>()
  #hosts = 1

  constructor(t: Scope, port: number) {
    this.#t = t
    this.#port = port
  }

  get addresses(): string[] {
    return [...this.#pods.values()].map(({ address }) => address)
  }

  role(ordinal: number): StartedRole {
    return this.#pod(ordinal).role
  }

  relay(ordinal: number): Relay {
    return this.#pod(ordinal).relay
  }

  async start(ordinal: number, topics: string, dataDir?: string): Promise<void> {
    const role = await startRole(this.#t, 'broker', {
      env: {
        BROKER_INDEX: String(ordinal),
        TOPICS: topics,
        SERVICE_TOKEN: token,
        HOST: '127.0.0.1',
        ...(dataDir === undefined ? {} : { DATA_DIR: dataDir }),
      },
    })
    const address = `127.0.0.${++this.#hosts}`
    const relay = await Relay.open(this.#t, address, this.#port, role.port)
    this.#pods.set(ordinal, { role, relay, address })
  }

  /** It ends, and so does its address. */
  async stop(ordinal: number, signal: NodeJS.Signals): Promise<StartedRole> {
    const { role, relay } = this.#pod(ordinal)
    await role.kill(signal)
    await relay.close()
    this.#pods.delete(ordinal)
    return role
  }

  #pod(ordinal: number) {
    const pod = this.#pods.get(ordinal)
    if (pod === undefined) throw new Error(`broker ${ordinal} does not run`)
    return pod
  }
}

/** One group, and what it was given: the ids of each record. */
class Reader {
  readonly seen = new Map<string, Set<string>>()
  deliveries = 0
  readonly #done: Promise<void>

  constructor(client: Client, group: string, signal: AbortSignal) {
    this.#done = this.#read(client, group, signal)
  }

  async #read(client: Client, group: string, signal: AbortSignal): Promise<void> {
    const consumer = client.consumer({ topic, group, signal })
    for await (const messages of consumer.batches()) {
      const last = new Map<string, string>()
      for (const { data, id, broker, partition } of messages) {
        this.deliveries++
        const ids = this.seen.get(data) ?? new Set()
        this.seen.set(data, ids.add(id))
        last.set(`${broker}/${partition}`, id)
      }
      // A broker at a time and behind the reading: what one that is away is to be told keeps nobody waiting. A lease that
      // was lost means that the records come again.
      for (const id of last.values()) consumer.ack([id]).catch(() => {})
    }
  }

  end(): Promise<void> {
    return this.#done
  }
}

/** Producers: one that gathers, for all partitions, and one for each partition that sends a record at a time. */
class Producers {
  readonly acknowledged = new Set<string>()
  readonly counts = Array.from({ length: partitions }, () => 0)
  /** The longest that a record of the partition waited for its acknowledgement, in ms. */
  longestMs = Array.from({ length: partitions }, () => 0)
  refused = 0
  readonly #stop = new AbortController()
  readonly #loops: Promise<void>[]

  constructor(client: Client, url: string) {
    this.#loops = [
      this.#gather(client, 'a'),
      this.#gather(client, 'b'),
      ...this.counts.map((_, partition) => this.#single(url, partition)),
    ]
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#loops)
  }

  /** Waits until each partition has taken so many more records. */
  async goOn(records = progress): Promise<void> {
    const goals = this.counts.map((count) => count + records)
    await until(async () => this.counts.every((count, partition) => count >= (goals[partition] as number)))
  }

  async #gather(client: Client, name: string): Promise<void> {
    const producer = client.producer({ topic })
    for (let n = 0; !this.#stop.signal.aborted; n++) {
      const records = Array.from({ length: 2 * partitions }, (_, at) => ({ data: `${name}-${n}-${at}`, key: `k${at}` }))
      await producer.send(records)
      for (const { data } of records) this.acknowledged.add(data)
      await sleep(50)
    }
    await producer.close()
  }

  async #single(url: string, partition: number): Promise<void> {
    for (let n = 0; !this.#stop.signal.aborted; n++) {
      const data = `single-${partition}-${n}`
      const startedMs = performance.now()
      while (!(await this.#post(url, partition, n, data))) await sleep(20)
      this.longestMs[partition] = Math.max(this.longestMs[partition] as number, performance.now() - startedMs)
      this.counts[partition] = (this.counts[partition] as number) + 1
      this.acknowledged.add(data)
      // A constant load that leaves room: what is measured is the brokers' absence, not the machine.
      await sleep(25)
    }
  }

  async #post(url: string, partition: number, n: number, data: string): Promise<boolean> {
    const answer = await fetch(`${url}/produce?topic=${topic}&partition=${partition}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/x-ndjson',
        'producer-id': `single-${partition}`,
        'producer-sequence': String(n),
      },
      body: data,
    })
    await answer.text()
    if (!answer.ok) this.refused++
    return answer.ok
  }
}

test('brokers die, hang, are cut off, slow, new, emptied and restarted: nothing acknowledged is lost', async (t) => {
  const port = await freePort()
  const pods = new Pods(t, port)
  const topics = `${topic}:partitions=${partitions}`
  try {
    await Promise.all([0, 1, 2].map((ordinal) => pods.start(ordinal, topics)))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRNOTAVAIL') throw error
    t.pass('skipped: this system has one address of loopback alone')
    return
  }
  const proxyPort = await freePort()
  const url = `http://127.0.0.1:${proxyPort}`
  const stop = new AbortController()
  const settings = readSettings(proxySettings, {
    env: {
      PORT: String(proxyPort),
      HOST: '127.0.0.1',
      SERVICE_TOKEN: token,
      LOG_LEVEL: 'silent',
      BROKER_SERVICE: 'brokers.test',
      BROKER_COUNT: '3',
      BROKER_PORT: String(port),
      BROKER_LOOKUP_INTERVAL: '100ms',
    },
    flags: {},
  })
  const proxying = run(settings, stop.signal, async () => pods.addresses)
  t.teardown(async () => (stop.abort(), proxying))
  await until(async () => (await fetch(`${url}/ready`).catch(() => undefined))?.ok === true)

  const client = new Client({ url, token, backoff: { longestMs: 200 } })
  const membersNow = async () => (await client.status()).members ?? []
  const memberOf = async (ordinal: number) => (await membersNow()).find(({ broker }) => broker === ordinal)
  const isState = (ordinal: number, state: string) => until(async () => (await memberOf(ordinal))?.state === state)
  const reading = new AbortController()
  t.teardown(() => reading.abort())
  const groups = ['one', 'two'].map((group) => new Reader(client, group, reading.signal))
  const load = new Producers(client, url)
  t.teardown(() => load.stop())
  await load.goOn()

  const phase = async (name: string, work: () => Promise<void>): Promise<void> => {
    load.longestMs = load.longestMs.map(() => 0)
    const refused = load.refused
    // The proxy and the load are in this process: where it stands still, so do they.
    const delay = monitorEventLoopDelay({ resolution: 10 })
    delay.enable()
    await work()
    delay.disable()
    const longest = load.longestMs.map((ms) => Math.round(ms)).join(' ')
    t.comment(
      `${name}: the longest wait of each partition, ms: ${longest}; refused and sent again: ${load.refused - refused}`,
    )
  }
  const back = async (ordinal: number, dataDir: string): Promise<void> => {
    await pods.start(ordinal, topics, dataDir)
    await isState(ordinal, 'up')
    await load.goOn()
  }

  await phase('killed, and started again at another address', async () => {
    const { dataDir } = await pods.stop(1, 'SIGKILL')
    await load.goOn()
    await isState(1, 'down')
    await back(1, dataDir)
  })
  await phase('hangs', async () => {
    process.kill(pods.role(0).pid, 'SIGSTOP')
    await isState(0, 'down')
    await load.goOn()
    process.kill(pods.role(0).pid, 'SIGCONT')
    await isState(0, 'up')
    await load.goOn()
  })
  await phase('cut off', async () => {
    pods.relay(2).cut()
    await isState(2, 'down')
    await load.goOn()
    pods.relay(2).mend()
    await isState(2, 'up')
    await load.goOn()
  })
  await phase('slow', async () => {
    const over = new AbortController()
    const slowed = (async () => {
      while (!over.signal.aborted) {
        process.kill(pods.role(1).pid, 'SIGSTOP')
        await sleep(60)
        process.kill(pods.role(1).pid, 'SIGCONT')
        await sleep(20)
      }
    })()
    await load.goOn()
    over.abort()
    await slowed
  })
  await phase('a broker joins', async () => {
    // It has never heard of the topic: the proxy makes it there.
    await pods.start(3, 'other:partitions=1')
    await isState(3, 'up')
    t.ok(((await memberOf(3))?.partitions[topic]?.length ?? 0) > 0, 'it owns partitions')
    await load.goOn()
  })
  await phase('it is emptied, and removed', async () => {
    const { exited, stdout, tail } = startPenstock(t, ['drain', '3'], {
      env: { MSG_QUEUE_ADDR: url, SERVICE_TOKEN: token },
    })
    t.equal((await exited).code, 0, tail())
    t.strictSame(stdout, ['broker 3 is empty and can be removed'])
    const { topics: left } = (await pods.role(3).status()) as {
      topics: Record<string, { records: number; groups: Record<string, { lag: number }> }>
    }
    const { records = 0, groups: lags = {} } = left[topic] ?? {}
    t.comment(`it had taken ${records} records`)
    t.ok(records > 0)
    t.match(lags, { one: { lag: 0 }, two: { lag: 0 } })
    await pods.stop(3, 'SIGTERM')
    await until(async () => (await memberOf(3)) === undefined)
    await load.goOn()
  })
  await phase('all restarted in turn', async () => {
    for (const ordinal of [0, 1, 2]) {
      const { dataDir } = await pods.stop(ordinal, 'SIGTERM')
      await back(ordinal, dataDir)
    }
  })

  await load.stop()
  const { acknowledged } = load
  const missingOf = ({ seen }: Reader): string[] => [...acknowledged].filter((data) => !seen.has(data))
  await until(async () => groups.every((group) => missingOf(group).length === 0))
  reading.abort()
  await Promise.all(groups.map((group) => group.end()))
  for (const [at, { seen, deliveries }] of groups.entries()) {
    const copies = [...seen.values()].reduce((sum, ids) => sum + ids.size, 0)
    t.comment(
      `group ${at + 1}: acknowledged to producers ${acknowledged.size}, delivered ${deliveries}, ` +
        `lost ${missingOf(groups[at] as Reader).length}, ` +
        `in two logs ${copies - seen.size}, the same id again ${deliveries - copies}`,
    )
    const logOf = (id: string): string => id.slice(0, id.lastIndexOf('/'))
    const twice = [...seen].filter(([, ids]) => new Set([...ids].map(logOf)).size < ids.size)
    t.strictSame(twice, [], 'no log has a record twice')
    t.strictSame(
      [...seen.keys()].filter((data) => !acknowledged.has(data)),
      [],
      'nothing came that nobody sent',
    )
  }
})
