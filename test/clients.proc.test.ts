/**
 * Clients that are not ours read in a group and acknowledge, over a real broker with a token, on each HTTP engine: curl, the
 * `eventsource` package, a browser's own EventSource, Python's requests.
 */

import { request as open, type IncomingMessage, type ServerResponse } from 'node:http'
import { EventSource } from 'eventsource'
import { t as file, test, type Test } from 'tap'
import { openBrowser } from './browser.ts'
import { listen } from './listen.ts'
import { start, startRole, type Scope, type StartedRole } from './start.ts'
import type { Started } from './started.ts'
import { roleEngines, skipWithout, tools } from './tools.ts'
import { until } from './until.ts'

file.setTimeout(600_000)

const waitMs = 120_000

const token = 'token-of-the-clients-test'
const authorization = `Bearer ${token}`

/** One name for all connections of a test: the second takes over from the first, also where that is not seen to be gone. */
const consume = '/consume?topic=telemetry&group=g&consumer=reader'
const ack = '/ack?topic=telemetry&group=g'

type Engine = Pick<ReturnType<typeof roleEngines>[number], 'env' | 'under'>

/** A record as a client has it. */
interface Got {
  readonly id: string
  readonly data: string
}

/** A client that is not ours. */
interface Client {
  /** Connects (and lets an earlier connection go), and gives what came first: so many records. It stays connected. */
  read(count: number): Promise<readonly Got[]>
  /** What `POST /ack` answers. */
  ack(body: object): Promise<unknown>
}

for (const { engine, skip, ...on } of roleEngines()) {
  test(`${engine}: curl reads and acknowledges`, { skip: skip || skipWithout(tools.curl) }, async (t) => {
    const broker = await startBroker(t, on)
    let reader: Started | undefined
    await readsOnce(t, broker, {
      async read(count) {
        await reader?.kill()
        const curl = start(t, 'curl', ['-sSN', '-H', `Authorization: ${authorization}`, broker.url + consume])
        reader = curl
        await curl.waitFor(() => eventsIn(curl.stdout).length >= count)
        return eventsIn(curl.stdout)
      },
      ack: async (body) => JSON.parse(await curlPost(t, broker, ack, body)),
    })
  })

  test(`${engine}: the eventsource package reads and acknowledges`, { skip }, async (t) => {
    const broker = await startBroker(t, on)
    let source: EventSource | undefined
    t.teardown(() => source?.close())
    await readsOnce(t, broker, {
      async read(count) {
        source?.close()
        const opened = new EventSource(broker.url + consume, {
          fetch: (address, init) => fetch(address, { ...init, headers: { ...init.headers, authorization } }),
        })
        source = opened
        const got: Got[] = []
        await new Promise<void>((resolve, reject) => {
          opened.addEventListener('error', ({ code, message }) => reject(new Error(`${code}: ${message}`)))
          opened.addEventListener('message', ({ lastEventId, data }) => {
            got.push({ id: lastEventId, data: String(data) })
            if (got.length === count) resolve()
          })
        })
        return got
      },
      async ack(body) {
        const answer = await fetch(broker.url + ack, {
          method: 'POST',
          headers: { authorization },
          body: JSON.stringify(body),
        })
        return answer.json()
      },
    })
  })

  test(
    `${engine}: a browser's EventSource reads and acknowledges`,
    { skip: skip || skipWithout(tools.chromium) },
    async (t) => {
      const broker = await startBroker(t, on)
      const origin = await listen(t, (request, response) => servePage(broker, request, response))
      const { page, errors } = await (await openBrowser(t)).page()
      await page.goto(origin)
      const records = () => page.evaluate<readonly Got[]>('records')
      await readsOnce(t, broker, {
        async read(count) {
          await page.evaluate(`read(${JSON.stringify(consume)})`)
          return until(records, ({ length }) => length >= count)
        },
        ack: (body) => page.evaluate(`acknowledge(${JSON.stringify(ack)}, ${JSON.stringify(body)})`),
      })
      t.strictSame(errors, [])
    },
  )

  test(
    `${engine}: Python's requests read by line, and acknowledge`,
    { skip: skip || skipWithout(tools.requests) },
    async (t) => {
      const broker = await startBroker(t, on)
      let reader: Started | undefined
      await readsOnce(t, broker, {
        async read(count) {
          await reader?.kill()
          const python = start(t, 'python3', ['-c', pythonReader, broker.url + consume, token])
          reader = python
          await python.waitFor(() => python.stdout.length >= count)
          return python.stdout.map((line) => JSON.parse(line) as Got)
        },
        ack: async (body) =>
          JSON.parse(
            await outputOf(start(t, 'python3', ['-c', pythonAck, broker.url + ack, token, JSON.stringify(body)])),
          ),
      })
    },
  )

  test(
    `${engine}: curl pulls some records at a time, and acknowledges`,
    { skip: skip || skipWithout(tools.curl) },
    async (t) => {
      const broker = await startBroker(t, on)
      const sent = await produceSome(broker)
      const pull = (waitMs: number): Started => {
        const address = `${broker.url}/consume?topic=telemetry&group=work&max=2&wait_ms=${waitMs}`
        const headers = ['-H', `Authorization: ${authorization}`, '-H', 'Accept: application/x-ndjson']
        return start(t, 'curl', ['-sS', '--fail-with-body', ...headers, address])
      }
      const recordsOf = async (curl: Started): Promise<unknown[]> =>
        (await outputOf(curl))
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line))

      const got: unknown[] = []
      while (got.length < sent.length) {
        const some = await recordsOf(pull(1000))
        t.ok(some.length > 0 && some.length <= 2, 'no pull is empty or holds more than it asks for')
        if (some.length === 0) break
        got.push(...some)
      }
      const wanted = sent.map(({ id, data }) => ({ id, attempt: 1, data }))
      t.strictSame((got as Got[]).toSorted(byId), wanted)
      t.strictSame(await recordsOf(pull(0)), [], 'what is in flight is not given again')

      const address = '/ack?topic=telemetry&group=work'
      const ids = sent.map(({ id }) => id)
      t.strictSame(JSON.parse(await curlPost(t, broker, address, { ids })), { acknowledged: ids.length })
      t.match(await broker.status(), statusOf('work'))

      const waiting = pull(60_000)
      await until(
        () => broker.status(),
        (status) => consumersOf(status, 'work') === 1,
      )
      const [next] = await produce(broker, 0, 'application/json', '{"n":"next"}')
      t.strictSame(
        await recordsOf(waiting),
        [{ ...next, attempt: 1, data: '{"n":"next"}' }],
        'a pull waits for a record',
      )
      t.strictSame(JSON.parse(await curlPost(t, broker, address, { id: next?.id })), { acknowledged: 1 })
      t.match(await broker.status(), statusOf('work'))
    },
  )
}

/** Two logs; and nothing comes again for being late, on however slow a machine. */
function startBroker(t: Scope, { under, env: ofEngine }: Engine): Promise<StartedRole> {
  const env = { ...ofEngine, TOPICS: 'telemetry:partitions=2', SERVICE_TOKEN: token, VISIBILITY_TIMEOUT: '10m' }
  return startRole(t, 'broker', { env, under })
}

/** The client reads all and acknowledges it; when it comes again, it is given what is new and nothing else. */
async function readsOnce(t: Test, broker: StartedRole, client: Client): Promise<void> {
  const sent = await produceSome(broker)
  const got = await client.read(sent.length)
  t.strictSame(got.toSorted(byId), sent, 'every record, as it was sent')
  t.strictSame(await client.ack({ up_to: ['0/0/2'] }), { acknowledged: 1 })
  t.strictSame(await client.ack({ ids: ['0/1/0', '0/1/1'] }), { acknowledged: 2 })
  t.match(await broker.status(), statusOf('g'))

  const data = '{"n":"next"}'
  const [next] = await produce(broker, 1, 'application/json', data)
  t.strictSame(await client.read(1), [{ ...next, data }], 'a second connection is given nothing acknowledged')
  t.strictSame(await client.ack({ id: next?.id }), { acknowledged: 1 })
  t.match(await broker.status(), statusOf('g'))
}

/** A record of several lines, some of which look like parts of an event stream. */
const manyLines = ['first', '', '  third, indented', ': no comment', 'data: no field', 'id: 0/0/0', 'last →']

/** Writes a few records; returns them in the order of their ids. */
async function produceSome(broker: StartedRole): Promise<Got[]> {
  const batch = ['{"n":0}', '{"text":"→ ü 𝄞"}', '{"n":2}']
  const ids = [
    ...(await produce(broker, 0, 'application/x-ndjson', `${batch.join('\n')}\n`)),
    ...(await produce(broker, 1, 'text/plain', manyLines.join('\r\n'))),
    ...(await produce(broker, 1, 'application/json', '{"n":4}')),
  ]
  return [...batch, manyLines.join('\n'), '{"n":4}'].map((data, at) => ({ id: ids[at]?.id ?? '', data }))
}

/** Returns the ids of the records. */
async function produce(broker: StartedRole, partition: number, type: string, body: string) {
  const headers = { authorization, 'content-type': type }
  const answer = await fetch(`${broker.url}/produce?topic=telemetry&partition=${partition}`, {
    method: 'POST',
    headers,
    body,
  })
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
  const { id, count } = (await answer.json()) as { id: string; count: number }
  const cut = id.lastIndexOf('/') + 1
  return Array.from({ length: count }, (_, at) => ({ id: id.slice(0, cut) + (Number(id.slice(cut)) + at) }))
}

function statusOf(group: string): object {
  return { topics: { telemetry: { groups: { [group]: { lag: 0, in_flight: 0 } } } } }
}

function consumersOf(status: Record<string, unknown>, group: string): number | undefined {
  const { topics } = status as { topics: Record<string, { groups: Record<string, { consumers: number }> }> }
  return topics['telemetry']?.groups[group]?.consumers
}

function byId(one: Got, other: Got): number {
  return one.id < other.id ? -1 : 1
}

/** The records of an event stream: what every one of these clients has to do. */
function eventsIn(lines: readonly string[]): Got[] {
  const events: Got[] = []
  let id = ''
  let data: string[] = []
  for (const line of lines) {
    if (line.startsWith('id: ')) id = line.slice('id: '.length)
    if (line.startsWith('data: ')) data.push(line.slice('data: '.length))
    if (line === '' && data.length > 0) {
      events.push({ id, data: data.join('\n') })
      data = []
    }
  }
  return events
}

/** The same in Python. Its `splitlines` of a text knows line ends that an event stream does not; that of bytes will do. */
const pythonReader = `
import json, sys, requests

headers = {'Authorization': 'Bearer ' + sys.argv[2]}
with requests.get(sys.argv[1], headers=headers, stream=True, timeout=${waitMs / 1000}) as stream:
    stream.raise_for_status()
    id, data = '', []
    for line in stream.iter_lines():
        field, _, value = line.decode('utf-8').partition(': ')
        if field == 'id':
            id = value
        elif field == 'data':
            data.append(value)
        elif line == b'' and data:
            print(json.dumps({'id': id, 'data': '\\n'.join(data)}), flush=True)
            data = []
`

const pythonAck = `
import json, sys, requests

headers = {'Authorization': 'Bearer ' + sys.argv[2]}
answer = requests.post(sys.argv[1], json=json.loads(sys.argv[3]), headers=headers, timeout=${waitMs / 1000})
answer.raise_for_status()
print(answer.text)
`

const html = `<!doctype html><title>reader</title><script>
  let records = [], source
  function read(address) {
    source?.close()
    records = []
    source = new EventSource(address)
    source.onmessage = ({ lastEventId: id, data }) => records.push({ id, data })
  }
  async function acknowledge(address, body) {
    const answer = await fetch(address, { method: 'POST', body: JSON.stringify(body) })
    return answer.json()
  }
</script>`

/** A page, and the broker under the page's own origin: a browser's EventSource sends no token. */
function servePage(broker: StartedRole, request: IncomingMessage, response: ServerResponse): void {
  const path = request.url ?? '/'
  if (!path.startsWith('/consume') && !path.startsWith('/ack')) {
    response.writeHead(path === '/' ? 200 : 404, { 'content-type': 'text/html; charset=utf-8' }).end(html)
    return
  }
  const { method } = request
  const accept = request.headers.accept ?? '*/*'
  const forwarded = open(broker.url + path, { method, headers: { accept, authorization } }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(response)
  })
  forwarded.on('error', () => response.destroy())
  response.on('close', () => forwarded.destroy())
  request.pipe(forwarded)
}

function curlPost(t: Scope, broker: StartedRole, path: string, body: object): Promise<string> {
  const headers = ['-H', `Authorization: ${authorization}`, '-H', 'Content-Type: application/json']
  const post = ['-sS', '--fail-with-body', '-X', 'POST', ...headers, '-d', JSON.stringify(body)]
  return outputOf(start(t, 'curl', [...post, broker.url + path]))
}

/** What a command prints. @throws Error when it does not end with status 0 */
async function outputOf(started: Started): Promise<string> {
  const { code } = await started.exited
  if (code !== 0) throw new Error(`${started.name}: status ${code}\n${started.tail()}`)
  return started.stdout.join('\n')
}
