import { t as file, test } from 'tap'
import { startCluster, token } from '#test/cluster'
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
