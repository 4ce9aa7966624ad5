import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'tap'
import { flagOf, type SettingTable } from '#lib/settings'
import { startPenstock, type Scope } from '#test/start'
import { Problem } from '#wire/problems'
import { commands } from './commands.ts'
import { roles } from './roles.ts'

async function outcome(t: Scope, args: readonly string[], env: Record<string, string> = {}) {
  const { exited, stdout, stderr } = startPenstock(t, args, { env })
  const { code } = await exited
  return { code, out: stdout.join('\n'), err: stderr.join('\n') }
}

test('without a command it lists all of them', async (t) => {
  const { code, out } = await outcome(t, [])
  t.equal(code, 0)
  for (const name of Object.keys(commands)) t.match(out, new RegExp(`^  ${name} `, 'm'))
})

test('--version', async (t) => {
  t.match(await outcome(t, ['--version']), { code: 0, out: /^\d+\.\d+\.\d+$/ })
})

test('the help of each role lists every setting', async (t) => {
  for (const [name, role] of Object.entries(roles)) {
    const { code, out } = await outcome(t, [name, '--help'])
    t.equal(code, 0)
    const table = (await role.settings()) as SettingTable
    for (const row of Object.values(table)) {
      t.ok(out.includes(`${flagOf(row)} `) && out.includes(row.name), `${name} ${row.name}`)
    }
  }
})

test('a slip is answered with what was meant, and status 2', async (t) => {
  t.match(await outcome(t, ['brokr']), { code: 2, err: /unknown command "brokr" \(did you mean broker\?\)/ })
  t.match(await outcome(t, ['help', 'taill']), { code: 2, err: /did you mean tail\?/ })
  t.match(await outcome(t, ['tail', '--form', 'earliest']), { code: 2, err: /--form \(did you mean --from\?\)/ })
  t.match(await outcome(t, ['tail']), { code: 2, err: /want TOPIC/ })
})

test('what a server says moves no cursor', async (t) => {
  const server = createServer((_, response) => {
    const problem = new Problem('unknown_gpu', 'there is none\u001b[2J\r\nforged')
    response.writeHead(404, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { code, err } = await outcome(t, ['query', 'gpus/x', '--api-url', url])
  t.strictSame([code, err], [1, 'penstock query: there is none\\u001b[2J\\u000d\\u000aforged'])
})

test('wrong settings of a role are told one a line, with status 2', async (t) => {
  const env = { VISIBILITY_TIMEOUT: '-3s', PENSTOCK_PORT: 'x' }
  const { code, err } = await outcome(t, ['broker'], env)
  t.equal(code, 2)
  t.match(err, /VISIBILITY_TIMEOUT=-3s: want a duration from 1s to 12h/)
  t.match(err, /PENSTOCK_PORT=x: want a port/)
})
