/**
 * The engine `uws` where its binary does not load on this system: the same contract suite, and brokers behind a proxy, each file
 * as a child in Debian 13, its assertions counted here. Where it loads the files themselves have run it.
 */

import { join } from 'node:path'
import { test } from 'tap'
import { engines } from '#test/http'
import { root, start, type Scope } from '#test/start'
import { skipWithout, tools, underUws, uwsLoads } from '#test/tools'

const suites = [
  'lib/http/contract-requests.test.ts',
  'lib/http/contract-bodies.test.ts',
  'lib/http/contract-streams.test.ts',
  'lib/http/contract-delivery.test.ts',
  // Roles take the engine that loads: there this one.
  'proxy/groups.proc.test.ts',
  ...(process.env['PENSTOCK_TEST_FULL'] === '1' ? ['proxy/proxy.proc.test.ts'] : []),
]

test('uws passes the contract suite, and serves brokers and a proxy', { skip: skipWithout(tools.uws) }, async (t) => {
  if (uwsLoads()) {
    t.ok(engines.some(({ name }) => name === 'uws'))
    return
  }
  for (const suite of suites) await passes(t, underUws(), suite)
})

/**
 * What the kernel takes is seldom as little as can be: nothing. Here it takes nothing of every fifth write. (20.57.0 then drops
 * chunks that do not fit into its cork: decision 180.)
 */
test('uws loses no byte where the kernel takes nothing now and then', { skip: skipTraced() }, async (t) => {
  const strace = ['strace', '-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', '-e', 'signal=none', '-e', 'trace=sendto']
  const under = [...strace, '-e', 'inject=sendto:error=EAGAIN:when=3+5', ...underUws()]
  await passes(t, under, 'lib/http/contract-delivery.test.ts')
})

function skipTraced(): string | false {
  const absent = skipWithout(tools.uws) || skipWithout(tools.strace)
  if (absent !== false) return absent
  return uwsLoads() || process.getuid?.() === 0 ? false : 'through sudo nothing can be traced'
}

/** Of a test, what is used here. */
interface Checks extends Scope {
  ok(value: unknown, message: string): void
  equal(value: unknown, wanted: unknown, message: string): void
}

async function passes(t: Checks, under: readonly string[], suite: string): Promise<void> {
  const env = { PENSTOCK_TEST_ENGINE: 'uws', TAP: '1' }
  const child = start(t, 'node', [join(root, suite)], { cwd: root, env, under })
  const { code } = await child.exited
  // Each assertion counts here as well; those of one test, not the sums of several, which say what time they took.
  const assertions = child.stdout
    .filter((line) => /^ +(not )?ok /.test(line) && !line.includes(' # time='))
    .map((line) => line.trim())
  for (const line of assertions) t.ok(line.startsWith('ok '), `${suite}: ${line}`)
  t.ok(assertions.length > 20, `${suite}: ${assertions.length} assertions`)
  t.equal(code, 0, child.tail())
}
