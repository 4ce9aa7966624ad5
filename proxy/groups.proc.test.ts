/** Groups through the proxy: pulled from, moved and deleted, on all brokers. */

import { t as file, test } from 'tap'

import { startCluster, token, until } from '#test/cluster'
import { Client } from '#wire/client'

file.setTimeout(600_000)

interface Line {
  readonly id: string
  readonly attempt: number
  readonly data: string
}

test('a group is pulled from, acknowledged, moved and deleted on all brokers', async (t) => {
  const { brokers, proxy, client, restart } = await startCluster(t)
  const headers = { authorization: `Bearer ${token}` }
  const pull = async (rest: string): Promise<Line[]> => {
    const answer = await fetch(`${proxy.url}/consume?topic=telemetry&group=work${rest}`, {
      headers: { ...headers, accept: 'application/x-ndjson' },
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(text)
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line)
  }
  const pullAll = async (count: number): Promise<Line[]> => {
    const lines: Line[] = []
    while (lines.length < count) {
      const some = await pull('&max=7&wait_ms=10000')
      t.ok(some.length > 0 && some.length <= 7, `${some.length} of at most 7`)
      lines.push(...some)
    }
    return lines
  }
  const call = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(proxy.url + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return { status: answer.status, body: (await answer.json()) as any }
  }

  const producer = client.producer({ topic: 'telemetry' })
  await producer.send([{ data: 'first', partition: 0 }])
  t.equal((await pull('&max=1')).length, 1)
  for (const { url } of brokers) {
    const topics = await new Client({ url, token }).topics()
    t.strictSame(topics.find(({ name }) => name === 'telemetry')?.groups, ['work'], 'the group is on both brokers')
  }
  await call('POST', '/seek?topic=telemetry&group=work&from=latest')
  await producer.send(Array.from({ length: 40 }, (_, n) => ({ data: `r${n}`, partition: n % 4 })))
  const first = await pullAll(40)
  t.equal(new Set(first.map(({ data }) => data)).size, 40, 'each once')
  t.same(new Set(first.map(({ id }) => id.split('/')[0])), new Set(['0', '1']), 'from both brokers')
  const ids = first.map(({ id }) => id)
  t.match(await call('POST', '/ack?topic=telemetry&group=work', { ids }), { status: 200, body: { acknowledged: 40 } })
  t.strictSame(await pull('&max=5'), [])

  const moved = await call('POST', '/seek?topic=telemetry&group=work&from=earliest')
  t.match(moved, { status: 200, body: { group: 'work' } })
  t.equal(moved.body.next.length, 8, 'four partitions of two brokers')
  const again = await pullAll(41)
  t.strictSame(
    again.map(({ data }) => data).sort(),
    ['first', ...first.map(({ data }) => data)].sort(),
    'all once more',
  )
  const last = ids.findLast((id) => id.startsWith('1/')) as string
  const end = await call('POST', `/seek?topic=telemetry&group=work&from=${last}`)
  t.match(end, { status: 200, body: { next: [/^1\//] } }, 'ids are told to their broker alone')
  t.match(await call('POST', '/seek?topic=telemetry&group=work&from=never'), {
    status: 400,
    body: { code: 'bad_parameter' },
  })

  const stop = new AbortController()
  const stream = fetch(`${proxy.url}/consume?topic=telemetry&group=work&mode=shared`, { headers, signal: stop.signal })
  await stream
  t.match(await call('DELETE', '/topics/telemetry/groups/work'), { status: 409, body: { code: 'group_in_use' } })
  stop.abort()
  await until(async () => (await call('DELETE', '/topics/telemetry/groups/work')).status !== 409)
  t.match(await call('DELETE', '/topics/telemetry/groups/work'), { status: 404, body: { code: 'unknown_group' } })

  await pull('')
  await brokers[1]?.kill('SIGKILL')
  await producer.send([{ data: 'while one is away', partition: 0 }])
  t.ok((await pullAll(1)).length > 0, 'the other one serves')
  t.match(await call('DELETE', '/topics/telemetry/groups/work'), {
    status: 503,
    body: { code: 'unavailable', detail: /done by broker 0 .*Send the same request again/ },
  })
  await restart(1)
  t.match(await call('DELETE', '/topics/telemetry/groups/work'), { status: 200, body: { deleted: 'work' } })
})
