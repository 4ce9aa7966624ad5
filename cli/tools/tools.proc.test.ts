import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { t as file, test } from 'tap'
import { freePort } from '#test/listen'
import { startPenstock, startRole, temporaryFolder, type Scope, type StartOptions } from '#test/start'

// Each command is a process, on two shared cores.
file.setTimeout(600_000)

async function outcome(t: Scope, args: readonly string[], options: StartOptions = {}) {
  const { exited, stdout, stderr } = startPenstock(t, args, options)
  const { code } = await exited
  return { code, out: stdout.join('\n'), err: stderr.join('\n') }
}

test('what is produced can be listed, tailed, and read in a group', async (t) => {
  const broker = await startRole(t, 'broker', { env: { TOPICS: 'notes:partitions=1' } })
  const env = { MSG_QUEUE_ADDR: broker.url }
  const run = (...args: string[]) => outcome(t, args, { env })

  t.match(await run('produce', 'notes', '{"n":1}', 'two \u001b[2J'), { code: 0, out: 'sent 2 records to notes' })
  const piped = startPenstock(t, ['produce', 'notes'], { env, stdin: 'pipe' })
  piped.stdin?.end('three\r\n\nfour')
  t.strictSame(await piped.exited, { code: 0, signal: null })

  t.match(await run('topics'), { code: 0, out: /^notes +1 +4 +\d+ B +fsync +7d, 4GiB +-$/m })
  t.match(await run('tail', 'notes', '--from', 'earliest', '--max', '4', '--ids'), {
    code: 0,
    out: ['0/0/0 {"n":1}', '0/0/1 two \u001b[2J', '0/0/2 three', '0/0/3 four'].join('\n'),
  })
  t.match(await run('tail', 'notes', '--group', 'g', '--max', '3'), { code: 0, out: /^.+\ntwo .+\nthree$/ })
  t.match(await run('lag'), { code: 0, out: /^notes +g +exclusive +1 /m })
})

test('a topic is made, changed and listed', async (t) => {
  const { url } = await startRole(t, 'broker')
  const run = (...args: string[]) => outcome(t, ['topics', ...args, '--addr', url])
  t.match(await run('create', 'notes', '--partitions', '2', '--retention-age', '36h', '--max-bytes', '1GiB'), {
    code: 0,
    out: /^name +notes\npartitions +2\n[^]*retention_age +36h\nmax_bytes +1GiB\nstrict +false$/,
  })
  t.match(await run('set', 'notes', '--partitions', '4', '--retention', 'acknowledged', '--durability', 'disk'), {
    code: 0,
    out: /^partitions +4$/m,
    err: /penstock: there were 2 partitions, there are 4: keys map anew/,
  })
  t.match(await run(), { code: 0, out: /^notes +4 +0 +\d+ B +disk +unacknowledged, 36h, 512MiB +-$/m })
  t.match(await run('create', 'notes', '--partitions', '2'), { code: 1, err: /notes is there: partitions is 4, not 2/ })
  t.match(await run('set', 'notes', '--retention-age', 'soon'), { code: 1, err: /retention_age=soon: want a duration/ })
  const usages: [string[], RegExp][] = [
    [['drop', 'notes'], /unexpected "drop": want create NAME, set NAME/],
    [['create'], /create wants the name of a topic/],
    [['set', 'notes'], /set wants what to change/],
    [['--partitions', '3'], /to make or change a topic: create NAME/],
    [['create', 'notes', '--durability', 'tape'], /--durability=tape: want one of fsync, disk, memory/],
  ]
  for (const [args, err] of usages) t.match(await run(...args), { code: 2, err }, args.join(' '))
})

test('an unknown topic is answered with those there are', async (t) => {
  const broker = await startRole(t, 'broker')
  const tail = await outcome(t, ['tail', 'telemtry', '--addr', broker.url])
  t.match(tail, { code: 1, err: /no topic "telemtry" \(did you mean telemetry\?\): there are telemetry/ })
})

test('a broker that is not there, or that wants a token, is answered with what to do', async (t) => {
  t.match(await outcome(t, ['topics', '--addr', `http://127.0.0.1:${await freePort()}`]), {
    code: 1,
    err: /no broker answers at http:\/\/127.0.0.1:\d+ \(ECONNREFUSED\): start one with penstock up, or .* --addr/,
  })
  const broker = await startRole(t, 'broker', { env: { SERVICE_TOKEN: 'secret-1' } })
  t.match(await outcome(t, ['lag', '--addr', broker.url]), { code: 1, err: /wants a token: set SERVICE_TOKEN/ })
  const env = { SERVICE_TOKEN: 'secret-1' }
  t.match(await outcome(t, ['topics', '--addr', broker.url], { env }), { code: 0, out: /^telemetry /m })
})

test('the same flags write the same sample', async (t) => {
  const folders = [temporaryFolder(t), temporaryFolder(t)]
  const args = ['sample', '--hosts', '2', '--gpus', '2', '--steps', '3', '--interval', '1m', '--seed', '7']
  for (const out of folders) t.match(await outcome(t, [...args, '--out', out]), { code: 0, out: /: 90 rows/ })
  const [one, two] = folders.map((folder) =>
    readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
  )
  t.equal(one?.length, 2, 'an export and a transfer log')
  t.strictSame(one, two)
})

test('a store that is not there is answered with what to do', async (t) => {
  t.match(await outcome(t, ['query', '--data-dir', temporaryFolder(t)]), { code: 1, err: /no store.*DATA_DIR/ })
})
