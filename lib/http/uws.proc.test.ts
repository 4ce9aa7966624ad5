/**
 * The engine `uws` where its binary does not load on this system: the same contract suite, and brokers behind a proxy, each file
 * as a child in Debian 13, its assertions counted here. Where it loads the files themselves have run it.
 */

import { join } from 'node:path'
import { test } from 'tap'
import { engines } from '#test/http'
import { root, start } from '#test/start'
import { skipWithout, tools, underUws, uwsLoads } from '#test/tools'

const suites = [
  'lib/http/contract-requests.test.ts',
  'lib/http/contract-bodies.test.ts',
  'lib/http/contract-streams.test.ts',
  // Roles take the engine that loads: there this one.
  'proxy/groups.proc.test.ts',
  ...(process.env['PENSTOCK_TEST_FULL'] === '1' ? ['proxy/proxy.proc.test.ts'] : []),
]

test('uws passes the contract suite, and serves brokers and a proxy', { skip: skipWithout(tools.uws) }, async (t) => {
  if (uwsLoads()) {
    t.ok(engines.some(({ name }) => name === 'uws'))
    return
  }
  for (const suite of suites) {
    const child = start(t, 'bash', [...underUws().slice(1), 'node', join(root, suite)], {
      cwd: root,
      env: { PENSTOCK_TEST_ENGINE: 'uws', TAP: '1' },
    })
    const { code } = await child.exited
    // Each assertion counts here as well; those of one test, not the sums of several, which say what time they took.
    const assertions = child.stdout
      .filter((line) => /^ +(not )?ok /.test(line) && !line.includes(' # time='))
      .map((line) => line.trim())
    for (const line of assertions) t.ok(line.startsWith('ok '), `${suite}: ${line}`)
    t.ok(assertions.length > 20, `${suite}: ${assertions.length} assertions`)
    t.equal(code, 0, child.tail())
  }
})
