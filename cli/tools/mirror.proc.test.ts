/** `penstock mirror` between real brokers: three sites in one view, and `kill -9` of everything that takes part, in turn. */

import { setTimeout as sleep } from 'node:timers/promises'
import { t as file, test } from 'tap'

import { startCluster, token, until } from '#test/cluster'
import { startPenstock, startRole, type Scope, type StartedRole } from '#test/start'
import { Client, type Message } from '#wire/client'

const isFull = process.env['PENSTOCK_TEST_FULL'] === '1'

// A dozen processes start, on two shared cores.
file.setTimeout(600_000)

const topics = 'telemetry:partitions=2,transfers:partitions=1'

function startSite(t: Scope, more: Readonly<Record<string, string>> = {}): Promise<StartedRole> {
  return startRole(t, 'broker', { env: { TOPICS: topics, ...more } })
}

function startMirror(t: Scope, from: string, to: string, ...more: string[]) {
  return startPenstock(t, ['mirror', '--from', from, '--to', to, '--topics', 'telemetry', ...more])
}

/** Sends numbered records of some keys until it is told to end, and knows which were acknowledged. */
class Feed {
  readonly acknowledged: string[] = []
  #stopped = false
  readonly #end = new AbortController()
  readonly #done: Promise<void>

  constructor(t: Scope, url: string, site: string) {
    // A test that fails leaves nobody who would stop it.
    t.teardown(() => this.#end.abort())
    this.#done = this.#run(url, site)
    this.#done.catch(() => {})
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#done
  }

  /** Waits for so many more. */
  async goOn(count = isFull ? 2_000 : 300): Promise<void> {
    const goal = this.acknowledged.length + count
    await until(async () => this.acknowledged.length >= goal)
  }

  async #run(url: string, site: string): Promise<void> {
    const producer = new Client({ url, backoff: { longestMs: 200 } }).producer({
      topic: 'telemetry',
      signal: this.#end.signal,
    })
    for (let n = 0; !this.#stopped; n++) {
      const records = Array.from({ length: 20 }, (_, at) => {
        const key = `GPU-${site}-${at % 5}`
        return { data: JSON.stringify({ uuid: key, n: n * 20 + at }), key }
      })
      await producer.send(records)
      this.acknowledged.push(...records.map(({ data }) => data))
      await sleep(5)
    }
    await producer.close()
  }
}

/** Waits until a mirror reads here: one whose source or target is not there when it starts says so, and ends. */
async function isRead({ url }: StartedRole): Promise<void> {
  await until(async () => {
    const text = await (await fetch(`${url}/metrics`)).text()
    return /^penstock_group_consumers\{[^}]*group="mirror"[^}]*\} [1-9]/m.test(text)
  })
}

/** What is lost would be waited for in vain: a last resort, far over what it takes. */
const readMsMax = 90_000

/** Everything that a topic holds, up to so many different records, and what comes right after them. */
async function readAll(client: Client, topic: string, count: number): Promise<Message[]> {
  const found: Message[] = []
  const different = new Set<string>()
  const stop = new AbortController()
  const giveUp = setTimeout(() => stop.abort(), readMsMax)
  for await (const messages of client.consumer({ topic, from: 'earliest', signal: stop.signal }).batches()) {
    for (const message of messages) different.add(message.data)
    found.push(...messages)
    if (different.size >= count) setTimeout(() => stop.abort(), 300)
  }
  clearTimeout(giveUp)
  return found
}

test('three sites in one view: kill -9 of mirror, source and target in turn loses nothing and writes nothing twice', async (t) => {
  let center = await startSite(t)
  const sites = await Promise.all(['a', 'b', 'c'].map(() => startSite(t)))
  let [first] = sites as [StartedRole, ...StartedRole[]]
  const feeds = sites.map(({ url }, at) => new Feed(t, url, 'abc'[at] as string))
  const [feed] = feeds as [Feed, ...Feed[]]
  const mirrors = sites.map(({ url }) => startMirror(t, url, center.url))
  const again = ({ port, dataDir }: StartedRole) => startSite(t, { PORT: String(port), DATA_DIR: dataDir })

  await Promise.all(sites.map(isRead))
  await feed.goOn()
  for (let round = 0; round < (isFull ? 3 : 1); round++) {
    await mirrors[0]?.kill('SIGKILL')
    await feed.goOn()
    mirrors[0] = startMirror(t, first.url, center.url)
    await isRead(first)
    await feed.goOn()

    await first.kill('SIGKILL')
    first = await again(first)
    await feed.goOn()

    await center.kill('SIGKILL')
    await feed.goOn()
    center = await again(center)
    await feed.goOn()
  }
  await Promise.all(feeds.map((each) => each.stop()))

  const sent = feeds.flatMap(({ acknowledged }) => acknowledged)
  const found = await readAll(new Client({ url: center.url }), 'telemetry', sent.length)
  const texts = new Set(found.map(({ data }) => data))
  const lost = sent.filter((data) => !texts.has(data))
  t.comment(
    `acknowledged at three sites ${sent.length}, in the center ${found.length}, lost ${lost.length}, ` +
      `twice ${found.length - texts.size}`,
  )
  t.strictSame(lost, [])
  // The source may hold what it did not live to acknowledge; a producer that sends again is recognised there.
  t.equal(found.length, texts.size, 'no record is there twice')

  const last = new Map<string, number>()
  const turned = found.filter(({ data }) => {
    const { uuid, n } = JSON.parse(data) as { uuid: string; n: number }
    const isBehind = n > (last.get(uuid) ?? -1)
    last.set(uuid, n)
    return !isBehind
  })
  t.strictSame(turned, [], 'each GPU is in the order of its site')
  const places = new Map(found.map(({ data, partition }) => [(JSON.parse(data) as { uuid: string }).uuid, partition]))
  const center2 = new Client({ url: center.url }).producer({ topic: 'telemetry' })
  const [uuid] = [...places.keys()] as [string]
  await center2.send([{ data: '"here"', key: uuid }])
  await center2.close()
  const here = (await readAll(new Client({ url: center.url }), 'telemetry', texts.size + 1)).find(
    ({ data }) => data === '"here"',
  )
  t.equal(here?.partition, places.get(uuid), 'a key stands where the center itself would put it')

  const told = await mirrors[0]?.kill('SIGTERM')
  t.strictSame(told, { code: 0, signal: null })
  t.match(mirrors[0]?.stdout.at(-1), /^forwarded [\d,]+ records, [\d,]+ were there already, 0 refused, 0 waiting$/)
})

test('through proxies a broker of the target may die: nothing is lost, and what is there twice stands in two logs', async (t) => {
  const center = await startCluster(t)
  const source = await startSite(t)
  const feed = new Feed(t, source.url, 'a')
  const mirror = startPenstock(t, ['mirror', '--from', source.url, '--to', center.proxy.url, '--topics', 'telemetry'], {
    env: { TO_TOKEN: token },
  })
  await isRead(source)
  await feed.goOn()
  await center.brokers[0]?.kill('SIGKILL')
  await feed.goOn()
  await center.restart(0)
  await feed.goOn()
  await feed.stop()
  const found = await readAll(center.client, 'telemetry', feed.acknowledged.length)
  const texts = new Map<string, Set<number>>()
  for (const { data, broker } of found) texts.set(data, (texts.get(data) ?? new Set()).add(broker))
  t.strictSame(
    feed.acknowledged.filter((data) => !texts.has(data)),
    [],
  )
  const twice = found.length - texts.size
  const bound = 2 * 5_000
  t.comment(`acknowledged ${feed.acknowledged.length}, in the center ${found.length}, twice ${twice}, at most ${bound}`)
  t.ok(twice <= bound, 'at most one request of each of the two logs')
  t.equal(
    [...texts.values()].reduce((sum, brokers) => sum + brokers.size, 0),
    found.length,
    'no log has one twice',
  )
  t.notOk(mirror.hasExited(), mirror.tail())
})

test('once: it ends when all is forwarded, dead letters too; again it finds that nothing is left', async (t) => {
  const [source, center] = await Promise.all([startSite(t), startSite(t)])
  const client = new Client({ url: source.url })
  const producer = client.producer({ topic: 'transfers' })
  await producer.send([{ data: '{"kind":"transfer","n":1}', key: 'SITE_A' }])
  await producer.close()
  await fetch(`${source.url}/produce?topic=transfers`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body: 'two\nlines',
  })
  await client.dead('transfers', [{ reason: 'no number', file: 'a.csv', line: 7 }])
  const run = async (...more: string[]) => {
    const started = startMirror(t, source.url, center.url, '--once', '--topics', 'transfers,transfers.dead', ...more)
    const { code } = await started.exited
    return { code, out: started.stdout.join('\n'), err: started.stderr.join('\n') }
  }
  t.match(await run(), { code: 0, out: /^forwarded 3 records, 0 were there already, 0 refused, 0 waiting$/ })
  t.match(await run(), { code: 0, out: /^forwarded 0 records, 0 were/ })
  t.match(
    await run('--group', 'second'),
    { code: 0, out: /^forwarded 3 records, 0 were/ },
    'another group sends all again',
  )
  const found = await readAll(new Client({ url: center.url }), 'transfers', 2)
  t.strictSame([...new Set(found.map(({ data }) => data))].toSorted(), ['two\nlines', '{"kind":"transfer","n":1}'])
  t.match((await new Client({ url: center.url }).letters('transfers')).letters[0], { reason: 'no number', line: 7 })
})

test('what cannot work is told at once, with what to do', async (t) => {
  const [source, center] = await Promise.all([
    startSite(t),
    startRole(t, 'broker', { env: { TOPICS: 'telemetry:partitions=3', SERVICE_TOKEN: token, HOST: '127.0.0.1' } }),
  ])
  const run = async (args: string[], env: Record<string, string> = {}) => {
    const started = startPenstock(t, ['mirror', ...args], { env })
    const { code } = await started.exited
    return { code, err: started.stderr.join('\n') }
  }
  const good = ['--from', source.url, '--to', center.url, '--once']
  const gone = 'http://127.0.0.1:2'
  const cases: [string[], number, RegExp, Record<string, string>?][] = [
    [['--topics', 'telemetry'], 2, /want --from URL, --to URL and --topics/],
    [['--from', 'site-a', '--to', center.url, '--topics', 't'], 2, /--from=site-a: want an http or https URL/],
    [['--from', gone, '--to', center.url, '--topics', 't'], 1, /no broker answers at \S+:2 \(E.*address with --from/],
    [['--from', source.url, '--to', gone, '--topics', 'telemetry'], 1, /no broker answers at \S+:2 \(E.*with --to/],
    [[...good, '--topics', 'telemetry'], 1, /wants a token: set TO_TOKEN to the one/],
    [[...good, '--topics', 'telemtry'], 1, /no topic "telemtry" \(did you mean telemetry\?\)/],
    [
      [...good, '--topics', 'transfers'],
      1,
      /penstock topics create transfers --partitions 1 --addr/,
      { TO_TOKEN: token },
    ],
    [['--from', source.url, '--to', source.url, '--topics', 'telemetry'], 1, /are one and the same broker/],
    [
      [...good, '--topics', 'telemetry'],
      0,
      /2 partitions at the source and 3 at the target \(0 to 0, 1 to 1\)/,
      { TO_TOKEN: token },
    ],
  ]
  for (const [args, code, err, env] of cases) t.match(await run(args, env), { code, err }, args.join(' '))
})
