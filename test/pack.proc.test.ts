import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { t as file, test } from 'tap'
import { root, start, startPenstock, startRole, temporaryFolder, type Scope } from './start.ts'
import { skipWithout, tools } from './tools.ts'

const version = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version

// Packs, compiles and installs: longer than other files take, on a busy machine.
file.setTimeout(600_000)

/** What a company's network needs for npm to work. */
const network = Object.fromEntries(
  Object.entries(process.env).flatMap(([name, value]) =>
    value !== undefined &&
    /^(npm_config_(registry|cache|userconfig)|(https?|no)_proxy|NODE_EXTRA_CA_CERTS)$/i.test(name)
      ? [[name, value]]
      : [],
  ),
)

/** A program of somebody else, in TypeScript, that knows nothing of Node's types. */
const program = `
import { Api } from 'penstock/api'
import { Client, Problem, type Message } from 'penstock/client'

declare const process: { readonly argv: readonly string[] }

const client = new Client({ url: process.argv[2] ?? '' })
const producer = client.producer({ topic: 'telemetry' })
await producer.send([{ data: '{"n":1}', partition: 0 }, { data: '{"n":2}', partition: 0 }])
await producer.close()

const seen: Message[] = []
const stop = new AbortController()
const consumer = client.consumer({ topic: 'telemetry', from: 'earliest', partition: 0, signal: stop.signal })
for await (const batch of consumer.batches()) {
  seen.push(...batch)
  if (seen.length >= 2) break
}
stop.abort()

const refusal = await client.producer({ topic: 'no-such-topic' }).send([{ data: '{}' }]).catch((error: unknown) => error)
const code: string | undefined = refusal instanceof Problem ? refusal.code : String(refusal)
// A broker is no API; what it would have answered is known all the same.
const gpus = await new Api({ url: process.argv[2] ?? '' }).get('/api/v1/gpus', { query: { host: 'a' } }).then(
  (answer): string => answer.gpus.map((gpu) => gpu.uuid).join(),
  (error: unknown) => (error instanceof Problem ? error.code : String(error)),
)
console.log(JSON.stringify({ seen: seen.map((message) => message.data), code, gpus }))
`

test('the packed package installs and runs', { skip: skipWithout(tools.npm) }, async (t) => {
  const work = temporaryFolder(t)
  const tarball = join(work, await pack(t, work))

  const prefix = join(work, 'global')
  const npm = [
    'install',
    '--global',
    '--prefix',
    prefix,
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]
  await succeeds(t, 'npm', [...npm, tarball], work)
  const installed = join(prefix, 'lib/node_modules/penstock')
  const launcher = join(prefix, 'bin/penstock')

  await t.test('it holds what runs, and nothing else', async (t) => {
    const files = readdirSync(installed, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(installed, join(entry.parentPath, entry.name)))
      .filter((path) => !path.startsWith('node_modules'))
    for (const wanted of ['LICENSE', 'dist/cli/main.js', 'dist/wire/client.js', 'dist/wire/client.d.ts']) {
      t.ok(files.includes(wanted), wanted)
    }
    t.strictSame(
      files.filter((path) => /\.test\.|^dist\/(test|bench)\/|(?<!\.d)\.ts$/.test(path)),
      [],
    )
  })

  await t.test('penstock --version, --help', async (t) => {
    const told = startPenstock(t, ['--version'], { launcher })
    t.match(await told.exited, { code: 0 })
    t.ok(told.stdout.join().includes(version), told.tail())
    const help = startPenstock(t, ['--help'], { launcher })
    t.match(await help.exited, { code: 0 })
    t.match(help.stdout.join('\n'), /broker[^]*collector/)
  })

  await t.test('a broker of it, and a TypeScript program with penstock/client', async (t) => {
    const broker = await startRole(t, 'broker', { launcher })
    t.match(await broker.status(), { role: 'broker', version })

    const app = join(work, 'app')
    mkdirSync(join(app, 'node_modules'), { recursive: true })
    symlinkSync(installed, join(app, 'node_modules/penstock'))
    writeFileSync(join(app, 'package.json'), JSON.stringify({ type: 'module' }))
    writeFileSync(join(app, 'main.ts'), program)
    const strict = [
      '--strict',
      '--noEmit',
      '--module',
      'nodenext',
      '--target',
      'es2024',
      '--lib',
      'es2024,dom',
      '--types',
      '',
    ]
    await succeeds(t, 'tsc', [...strict, 'main.ts'], app)

    const { stdout } = await succeeds(t, process.execPath, ['main.ts', broker.url], app)
    t.strictSame(JSON.parse(stdout.at(-1) ?? ''), {
      seen: ['{"n":1}', '{"n":2}'],
      code: 'unknown_topic',
      gpus: 'not_found',
    })
    t.match(await broker.kill('SIGTERM'), { code: 0 }, 'the broker stops cleanly')
  })
})

/** Packs a copy of the checkout, so that the test leaves no dist/ behind. Returns the name of the tarball. */
async function pack(t: Scope, into: string): Promise<string> {
  const copy = join(into, 'checkout')
  const left = new Set(['node_modules', 'dist', 'data', '.git', '.tap'])
  cpSync(root, copy, { recursive: true, filter: (path) => !left.has(relative(root, path)) })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  await succeeds(t, 'npm', ['pack', '--pack-destination', into, '--loglevel=error'], copy)
  return readdirSync(into).find((name) => name.endsWith('.tgz')) ?? ''
}

async function succeeds(t: Scope, command: string, args: readonly string[], cwd: string) {
  const started = start(t, command, args, { cwd, env: network })
  const { code, signal } = await started.exited
  if (code !== 0) throw new Error(`${started.name} ended with ${signal ?? `status ${code}`}:\n${started.tail()}`)
  return started
}
