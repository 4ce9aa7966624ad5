/**
 * A broker under a flood of hostile and oversized requests, on both engines: no crash, no answer that is an error of ours, no
 * memory that stays. `PENSTOCK_FLOOD=1000000` sends a million (a minute or two each).
 */

import { readFileSync } from 'node:fs'
import { test } from 'tap'
import { flood } from './flood.ts'
import { startRole } from './start.ts'
import { roleEngines } from './tools.ts'

const requests = Number(process.env['PENSTOCK_FLOOD'] ?? (process.env['PENSTOCK_TEST_FULL'] === '1' ? 40_000 : 8_000))
const connections = 32
const growthMax = 64 * 1024 * 1024

for (const { engine, skip, under, env } of roleEngines()) {
  test(`${engine}: a flood of hostile requests`, { skip, timeout: 1_000_000 }, async (t) => {
    const broker = await startRole(t, 'broker', {
      under,
      env: {
        ...env,
        TOPICS: 'telemetry:partitions=2:durability=disk:max_bytes=1MiB',
        MAX_RECORD_BYTES: '1KiB',
        MEMORY_BYTES: '32MiB',
      },
    })
    t.match(broker.logs()[0], { engine })
    const produce = (partition: number, records: number) =>
      fetch(`${broker.url}/produce?topic=telemetry&partition=${partition}`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body: `{"a":"${'x'.repeat(900)}"}\n`.repeat(records),
      })
    // A group that reads nothing keeps the partition full.
    const stop = new AbortController()
    await fetch(`${broker.url}/consume?topic=telemetry&group=idle`, { signal: stop.signal })
    stop.abort()
    t.equal((await produce(1, 1_200)).status, 200)
    // Twice the same: what the first half leaves behind (compiled code, pools) is not what leaks.
    const first = await flood(broker.port, requests / 2, connections)
    const before = residentBytes(broker.pid)
    const startedMs = performance.now()
    const second = await flood(broker.port, requests / 2, connections)
    const tookS = (performance.now() - startedMs) / 1_000
    const after = residentBytes(broker.pid)

    t.same([...new Set([...first.wrong, ...second.wrong])], [])
    for (const expected of [413, 429, 431, 400, 404, 405, 415]) {
      t.ok((second.byStatus.get(expected) ?? 0) > 0, `${expected}: ${second.byStatus.get(expected)}`)
    }
    t.ok(after - before < growthMax, `${mib(before)} resident half way, ${mib(after)} at the end`)
    t.equal(broker.hasExited(), false)
    t.equal((await produce(0, 1)).status, 200, 'who asks for what is right still gets it')
    const metrics = await (await fetch(`${broker.url}/metrics`)).text()
    t.notMatch(metrics, /^http_requests_total\{.*route="(?!\/ready).*status="5/m, 'no error of ours')
    t.same(
      broker.logs().filter(({ level }) => level === 'error'),
      [],
    )
    t.comment(
      `${requests} requests; the second half at ${Math.round(second.sent / tookS)}/s; ${mib(before)}, then ${mib(after)} resident`,
    )
  })
}

function residentBytes(pid: number): number {
  return 1024 * Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`
}
