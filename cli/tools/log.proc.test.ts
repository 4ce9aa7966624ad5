import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { t as file, test } from 'tap'
import { startPenstock, startRole, temporaryFolder, type Scope } from '#test/start'
import { UsageError } from '../args.ts'
import { log } from './log.ts'

// Each command is a process, on two shared cores.
file.setTimeout(600_000)

/** A process of its own. */
async function started(t: Scope, ...args: string[]) {
  const { exited, stdout, stderr } = startPenstock(t, ['log', ...args])
  const { code } = await exited
  return { code, out: stdout.join('\n'), err: stderr.join('\n') }
}

/** In this process: a start takes seconds on a busy machine. */
async function outcome(...args: string[]) {
  const [out, err] = [new Written(), new Written()]
  const { signal } = new AbortController()
  const io = { env: {}, stdin: process.stdin, stdout: out.stream, stderr: err.stream, signal, isSupervised: false }
  const code = await log.run(args, io).catch((error: Error) => {
    err.text += error.message
    return error instanceof UsageError ? 2 : 1
  })
  return { code, out: out.text.trimEnd(), err: err.text }
}

class Written {
  text = ''
  readonly stream = Object.assign(
    new Writable({ write: (chunk, _encoding, done) => this.#take(String(chunk), done) }),
    {
      isTTY: false,
    },
  ) as unknown as NodeJS.WriteStream

  #take(text: string, done: () => void): void {
    this.text += text
    done()
  }
}

/** A data folder with one topic of two partitions, in files of two batches. */
async function written(t: Scope): Promise<string> {
  const env = { TOPICS: 'notes:partitions=2', SEGMENT_BYTES: '4KiB' }
  const broker = await startRole(t, 'broker', { env })
  const headers = { 'content-type': 'application/x-ndjson' }
  for (let batch = 0; batch < 6; batch++) {
    const body = Array.from({ length: 10 }, (_, n) => `{"batch":${batch},"n":${n},"fill":"${'x'.repeat(200)}"}`).join(
      '\n',
    )
    const path = `/produce?topic=notes&partition=${batch === 5 ? 1 : 0}`
    const answer = await fetch(broker.url + path, { method: 'POST', body, headers })
    if (!answer.ok) throw new Error(await answer.text())
  }
  await broker.kill('SIGTERM')
  return broker.dataDir
}

function spoil(path: string, text: string): void {
  const bytes = readFileSync(path)
  bytes.write('X', bytes.indexOf(text))
  writeFileSync(path, bytes)
}

test('check, dump and repair a folder, sound and damaged', async (t) => {
  const folder = await written(t)
  t.match(await outcome('check', folder), {
    code: 0,
    out: /^notes +0 +3 +3 +50 .*\nnotes +1 +1 +1 +10 [^]*\nsound: 2 topics, 3 logs, \d files, 0 groups, 60 records, .*$/m,
  })

  const first = join(folder, 'notes/partition-0/00000000000000000000.log')
  spoil(first, '"batch":1')
  const checked = await outcome('check', folder)
  t.match(checked, {
    code: 1,
    out: /^damage +notes\/partition-0\/0{20}\.log: bytes \d+ to \d+ .*records 10 to 19 are lost$/m,
  })
  t.match(checked.out, /\ndamaged: 1 findings, 10 records lost, in .*$/)
  const json = await outcome('check', folder, '--topic', 'notes', '--partition', '0', '--json')
  t.match(
    json.out.split('\n').map((line) => JSON.parse(line)),
    [
      { kind: 'folder', broker: 0 },
      { kind: 'topic', topic: 'notes', durability: 'fsync' },
      { kind: 'log', partition: 0, records: 40, findings: [{ kind: 'damage', first_lost: 10, last_lost: 19 }] },
      { kind: 'summary', sound: false, lost: 10 },
    ],
  )

  const dumped = await outcome('dump', folder, '--topic', 'notes', '--from', '8', '--limit', '4', '--headers')
  t.match(dumped, { code: 1, err: /records 10 to 19 are lost/ })
  t.match(
    dumped.out.split('\n').map((line) => JSON.parse(line)),
    [
      { batch: 0, count: 10, file: '00000000000000000000.log' },
      { id: '0/0/8', time: /^20\d\d-.*Z$/, data: /^{"batch":0,"n":8/ },
      { id: '0/0/9' },
      { batch: 20 },
      { id: '0/0/20' },
      { id: '0/0/21' },
    ],
  )

  const dry = await outcome('repair', folder, '--dry-run')
  t.match(dry, {
    code: 1,
    out: /would keep 10 records in 1 batches, loses 10; as it is it would be kept as .*damaged$/m,
  })
  t.notOk(existsSync(`${first}.damaged`), 'a dry run changes nothing')
  t.match(await started(t, 'repair', folder), { code: 0, out: /: 1 files written anew, 10 records lost; sound now$/ })
  t.ok(existsSync(`${first}.damaged`))
  t.match(await outcome('check', folder), {
    code: 0,
    out: /^hole .*10 to 19 hold no record$[^]*^sound: .* 1 holes$/m,
  })
  t.notOk(existsSync(join(folder, '.lock')))

  const broker = await startRole(t, 'broker', { env: { DATA_DIR: folder } })
  const running = await outcome('repair', folder)
  t.match(running, { code: 1, err: new RegExp(`is in use by a broker \\(process ${broker.pid}\\): stop it`) })
  t.match(await outcome('check', folder), {
    err: /is in use by a broker .*: what is being written now may look torn/,
  })
})

test('what is wrong with the command line is told', async (t) => {
  const empty = temporaryFolder(t)
  const plain = join(empty, 'file')
  writeFileSync(plain, '')
  const up = join(empty, 'up')
  for (const broker of [0, 1]) {
    mkdirSync(join(up, `broker-${broker}/notes/partition-0`), { recursive: true })
    writeFileSync(join(up, `broker-${broker}/identity`), `{"format":1,"broker":${broker}}\n`)
    writeFileSync(join(up, `broker-${broker}/notes/topic.json`), '{"partitions":1}\n')
  }
  t.match(await started(t, 'chek'), { code: 2, err: /want check, dump, repair[^]*see penstock log --help/ })
  const cases: [string[], number, RegExp][] = [
    [['chek'], 2, /want check, dump, repair, not "chek" \(did you mean check\?\)/],
    [['check', join(empty, 'nowhere')], 1, /there is no folder .*nowhere: give the DATA_DIR of a broker/],
    [['check', plain], 1, /is a file: give the DATA_DIR/],
    [['check', empty, '--topic'], 2, /--topic wants a value/],
    [['check', plain, plain], 2, /unexpected/],
    [['dump', up, '--topic', 'notes'], 1, /several brokers: give one of .*broker-0, .*broker-1/],
    [['dump', join(up, 'broker-1'), '--topic', 'note'], 1, /no topic "note" \(did you mean notes\?\): there are notes/],
    [['dump', join(up, 'broker-1')], 1, /which topic\? --topic T; there are notes/],
    [['dump', join(up, 'broker-1'), '--topic', 'notes', '--partition', '7'], 1, /has no partition 7: there are 0/],
    [['check', up, '--topic', 'other'], 1, /there is no topic other in/],
  ]
  for (const [args, code, err] of cases) t.match(await outcome(...args), { code, err }, args.join(' '))
  t.match(await outcome('check', up), {
    code: 0,
    out: /broker-0: broker 0\n[^]*broker-1: broker 1\n[^]*\nsound: 2 topics/,
  })
  t.match(await outcome(), { code: 0, out: /penstock log repair/ })
  t.strictSame(readdirSync(join(up, 'broker-0')).toSorted(), ['identity', 'notes'], 'and nothing was made')
})
