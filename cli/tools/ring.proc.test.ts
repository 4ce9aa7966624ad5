import { t as file, test } from 'tap'
import { startCluster, token, until } from '#test/cluster'
import { startPenstock } from '#test/start'

// Each command is a process, on two shared cores.
file.setTimeout(600_000)

test('the brokers behind a proxy are listed with what they own', async (t) => {
  const { brokers, proxy } = await startCluster(t)
  const run = async (addr: string, ...args: string[]) => {
    const { exited, stdout, stderr } = startPenstock(t, ['ring', '--addr', addr, ...args], {
      env: { SERVICE_TOKEN: token },
    })
    const { code } = await exited
    return { code, out: stdout.join('\n'), err: stderr.join('\n') }
  }
  const [members, partitions] = await Promise.all([run(proxy.url), run(proxy.url, '--partitions')])
  const owned = [...members.out.matchAll(/^ +([01]) +up +yes +(\d+) +http/gm)].map(([, broker, owns]) => [broker, owns])
  // Two topics of four partitions.
  t.strictSame(
    [members.code, owned],
    [
      0,
      [
        ['0', '4'],
        ['1', '4'],
      ],
    ],
    members.out,
  )
  t.equal([...partitions.out.matchAll(/^telemetry +[0-3] +[01] +up +http/gm)].length, 4, partitions.out)
  t.match(await run(brokers[0]?.url ?? ''), { code: 1, err: /is a broker, which knows no other/ })
})

test('a broker that was to be emptied takes records again', async (t) => {
  const { proxy, client } = await startCluster(t)
  // What a group has not acknowledged keeps the draining from its end.
  const stop = new AbortController()
  t.teardown(() => stop.abort())
  const records = [0, 1, 2, 3].map((partition) => ({ data: '{}', partition }))
  await client.producer({ topic: 'telemetry' }).send(records)
  for await (const messages of client.consumer({ topic: 'telemetry', group: 'g', signal: stop.signal }).batches()) {
    if (messages.length > 0) break
  }
  const env = { SERVICE_TOKEN: token, MSG_QUEUE_ADDR: proxy.url }
  const stateOf = async (broker: number): Promise<string | undefined> =>
    (await client.ring()).members.find((member) => member.broker === broker)?.state
  const ownersOf = async () => (await client.ring()).topics['telemetry']?.owners.toSorted()
  const draining = startPenstock(t, ['drain', '1'], { env })
  await until(async () => (await stateOf(1)) === 'draining')
  await until(async () => (await ownersOf())?.join() === '0,0,0,0')
  await draining.kill('SIGINT')
  t.notOk(
    draining.stdout.some((line) => line.includes('is empty')),
    draining.tail(),
  )
  t.equal(await stateOf(1), 'draining', 'it goes on without the command')
  const undone = startPenstock(t, ['drain', '1', '--undo'], { env })
  t.equal((await undone.exited).code, 0, undone.tail())
  t.strictSame(undone.stdout, ['broker 1 takes records again'])
  await until(async () => (await stateOf(1)) === 'up')
  await until(async () => (await ownersOf())?.join() === '0,0,1,1')
  const answers = await Promise.all(
    records.map(async ({ partition }) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'text/plain' }
      const url = `${proxy.url}/produce?topic=telemetry&partition=${partition}`
      return (await (await fetch(url, { method: 'POST', headers, body: '{}' })).json()) as { id: string }
    }),
  )
  const takers = answers.map(({ id }) => Number(id[0])).toSorted((a, b) => a - b)
  t.strictSame(takers, [0, 0, 1, 1], 'its records are written to it')
})
