/** A real broker at the bounds of docs/LIMITS.md that need many clients or patient ones, on both HTTP engines. */

import { setTimeout as sleep } from 'node:timers/promises'
import { t as file, test } from 'tap'
import { RawClient } from './http.ts'
import { startRole, type Scope, type StartedRole } from './start.ts'
import { roleEngines } from './tools.ts'

const isFull = process.env['PENSTOCK_TEST_FULL'] === '1'

file.setTimeout(200_000)

const consume = '/consume?topic=telemetry&group=g&consumer='

for (const { engine, skip, under, env: ofEngine } of roleEngines()) {
  const broker = (t: Scope, env: Readonly<Record<string, string>>): Promise<StartedRole> =>
    startRole(t, 'broker', {
      under,
      env: { ...ofEngine, TOPICS: 'telemetry:partitions=1:durability=disk', MEMORY_BYTES: '64MiB', ...env },
    })

  test(`${engine}: one connection more than MAX_CONNECTIONS is a 429, and cut`, { skip }, async (t) => {
    const { port } = await broker(t, { MAX_CONNECTIONS: '8' })
    const served: RawClient[] = []
    let refused: RawClient | undefined
    while (refused === undefined && served.length < 10) {
      const client = new RawClient(t, port)
      await client.send('GET', '/health')
      const { status, headers, body } = await client.answer()
      if (status === 200) served.push(client)
      else {
        t.equal(status, 429)
        t.match(headers.get('retry-after'), /^[1-9]\d*$/)
        t.match(JSON.parse(body), { code: 'too_many_connections' })
        refused = client
      }
    }
    // Of the eight, the test's own look at `/ready` may hold one or two.
    t.ok(served.length >= 6 && served.length <= 8, `${served.length} were served`)
    await refused?.closed
    const [first, second] = served as [RawClient, RawClient]
    await second.send('GET', '/health')
    t.equal((await second.answer()).status, 200, 'those that are open go on')
    first.socket.destroy()
    for (let status = 0; status !== 200; await sleep(20)) {
      const client = new RawClient(t, port)
      await client.send('GET', '/health')
      status = (await client.answer()).status
      client.socket.destroy()
    }
  })

  test(`${engine}: one request more of an address than MAX_REQUESTS_PER_ADDRESS is a 429`, { skip }, async (t) => {
    const { url, port } = await broker(t, { MAX_REQUESTS_PER_ADDRESS: '2' })
    const streams = [0, 1].map(() => new RawClient(t, port))
    for (const [at, stream] of streams.entries()) {
      await stream.send('GET', `${consume}${at}`)
      t.equal((await stream.head()).status, 200)
    }
    const refused = await fetch(`${url}/topics`)
    t.equal(refused.status, 429)
    t.match(refused.headers.get('retry-after'), /^[1-9]\d*$/)
    t.match(await refused.json(), { code: 'rate_limited' })
    for (const probe of ['/health', '/ready']) {
      t.equal((await fetch(url + probe)).status, 200, `${probe} is not counted`)
    }
    streams[0]?.socket.destroy()
    for (let status = 0; status !== 200; await sleep(20)) status = (await fetch(`${url}/topics`)).status
  })

  // Half a minute by design, both at once.
  test(`${engine}: who takes nothing is told and cut`, { skip: skip || (isFull ? false : '--full') }, async (t) => {
    const { url, port } = await broker(t, {})
    const idle = new RawClient(t, port)
    await idle.send('GET', '/health')
    await idle.answer()
    let idleEnd = 'clean'
    idle.socket.on('error', ({ message }) => (idleEnd = message))
    idle.socket.on('data', () => (idleEnd = 'with words'))
    const idleSinceMs = performance.now()
    const idleClosed = idle.closed.then(() => (performance.now() - idleSinceMs) / 1_000)
    const stalled = new RawClient(t, port)
    await stalled.send('GET', `${consume}stalled`)
    await stalled.head()
    stalled.socket.unpipe()
    stalled.socket.pause()
    const body = `{"a":"${'x'.repeat(1_000)}"}\n`.repeat(4_000)
    for (let sent = 0; sent < 48; sent += 4) {
      const answer = await fetch(`${url}/produce?topic=telemetry`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body,
      })
      t.equal(answer.status, 200)
    }
    // Its group has nobody any more: what it was sent is free for others. (20 s, seen at a beat of 10 s.)
    const startedMs = performance.now()
    for (let isHeld = true; isHeld && performance.now() - startedMs < 60_000; await sleep(250)) {
      isHeld = (await (await fetch(`${url}/status`)).text()).includes('"stalled"')
    }
    const tookS = (performance.now() - startedMs) / 1_000
    t.ok(tookS > 9 && tookS < 41, `cut after ${tookS} s`)
    // Within the next beat it may still read why; then it is dropped.
    let told = ''
    stalled.socket.on('data', (data: Buffer) => (told = (told + data.toString('latin1')).slice(-1_000)))
    stalled.socket.resume()
    for (let waited = 0; !told.includes('event: cut') && waited < 5_000; waited += 50) await sleep(50)
    t.match(told, /event: cut\ndata: \{"code":"slow"/)
    if (engine === 'uws') {
      const idleS = await idleClosed
      t.ok(idleS > 20 && idleS < 45, `an idle connection is closed after ${idleS} s`)
      t.equal(idleEnd, 'clean')
    }
  })
}
