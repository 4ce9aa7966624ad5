/** Dead letters through the proxy: those of all brokers, listed, sent again and put away as one. */

import { t as file, test } from 'tap'

import { startCluster, token, until } from '#test/cluster'
import { startPenstock } from '#test/start'
import { Client } from '#wire/client'

file.setTimeout(600_000)

test('the letters of two brokers are listed page by page, sent again and put away', async (t) => {
  const { brokers, proxy, client } = await startCluster(t)
  for (const [ordinal, { url }] of brokers.entries()) {
    const letters = Array.from({ length: 3 }, (_, n) => ({
      reason: `r${ordinal}${n}`,
      row: `{"n":${ordinal}${n}}`,
      origin: `${ordinal}/${n}/0`,
    }))
    await new Client({ url, token }).dead('telemetry', [
      ...letters,
      { reason: 'a row', file: 'a.csv', line: 2, row: 'x' },
    ])
  }
  const pages: string[][] = []
  for (let after: string | undefined; ;) {
    const page = await client.letters('telemetry', { limit: 3, ...(after === undefined ? {} : { after }) })
    t.equal(page.open, 8)
    pages.push(page.letters.map(({ id }) => id))
    if (page.next === null) break
    after = page.next
  }
  t.strictSame(pages.flat(), ['0/0/0', '0/0/1', '0/0/2', '0/0/3', '1/0/0', '1/0/1', '1/0/2', '1/0/3'])
  t.ok(pages.every((page) => page.length <= 3))

  t.strictSame(await client.deal('telemetry', 'drop', ['0/0/0', '1/0/2', '1/0/99']), {
    dropped: 2,
    kept: [],
    unknown: 1,
    open: 6,
  })
  await t.rejects(client.deal('telemetry', 'drop', ['7/0/0']), { code: 'bad_request' })
  await t.rejects(client.deal('none', 'drop', 'all'), { code: 'unknown_topic' })

  const penstock = async (...args: string[]) => {
    const env = { MSG_QUEUE_ADDR: proxy.url, SERVICE_TOKEN: token }
    const { exited, stdout, stderr } = startPenstock(t, ['dead', ...args], { env })
    return { ...(await exited), out: stdout.join('\n'), err: stderr.join('\n') }
  }
  t.match(await penstock('list', 'telemetry'), {
    code: 0,
    out: /^ID +TIME +FROM +REASON\n0\/0\/1 +\d{4}-\S+Z +0\/1\/0 +r01\n[^]*\n1\/0\/3 +\S+ +a.csv:2 +a row$/,
  })
  t.match(await penstock('list', 'telemetry', '--max', '1'), { code: 0, err: /^and 5 more$/ })
  t.match(await penstock('show', 'telemetry', '1/0/0'), {
    code: 0,
    out: /^1\/0\/0\n[^]* reason +r10\n[^]* row +\{"n":10\}$/,
  })
  t.match(await penstock('show', 'telemetry', '1/0/77'), { code: 1, err: /1\/0\/77 is no open letter of telemetry/ })
  t.match(await penstock('retry', 'telemetry'), { code: 2, err: /retry wants the IDs of letters, or --all/ })
  t.match(await penstock('burn', 'telemetry'), { code: 2, err: /want list, show, retry, drop, not "burn"/ })
  t.match(await penstock('retry', 'telemetry', '--all'), {
    code: 0,
    out: /^sent 4 records again, 2 are open$/,
    err: /0\/0\/3 is kept: it is a row of a file/,
  })
  const rows: string[] = []
  for await (const messages of client.consumer({ topic: 'telemetry', from: 'earliest' }).batches()) {
    rows.push(...messages.map(({ data }) => data))
    if (rows.length >= 4) break
  }
  t.strictSame(rows.toSorted(), ['{"n":01}', '{"n":02}', '{"n":10}', '{"n":11}'])
  t.match(await penstock('drop', 'telemetry', '--all'), { code: 0, out: /^put 2 letters away, 0 are open$/ })
  t.match(await penstock('list', 'telemetry'), { code: 0, err: /^no dead letters of telemetry are open$/ })

  await brokers[1]?.kill('SIGKILL')
  await until(() =>
    client.letters('telemetry').then(
      () => false,
      () => true,
    ),
  )
  await t.rejects(client.letters('telemetry'), { code: 'unavailable', message: /broker 1/ }, 'no half of a list')
})
