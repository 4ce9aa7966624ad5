/**
 * CPU seconds of the processes that a record passes: of the broker alone, and of broker and proxy. Where two cores must carry
 * the client as well, records a second say how the cores are shared, and not what the proxy costs.
 */

import { join } from 'node:path'

import { cpuSecondsOf } from '../../cpu.ts'
import type { Bench } from '../../measure.ts'
import { Scope } from '#test/scope'
import { askProduce } from '../../load/broker.ts'
import { report, takeTurns, type Figure } from '../../load/rounds.ts'
import { loadOver } from '../../load/socket.ts'
import { batchRecords, bodyOf, recordBytes } from '../../load/records.ts'
import { startPair } from './pair.ts'

const connections = 16

export async function cpuOfProxy(bench: Bench): Promise<void> {
  const rounds = bench.quick ? 3 : 7
  const scope = new Scope()
  bench.say('cpu: seconds per million records, of the broker alone and of broker and proxy')
  try {
    const { broker, proxy } = await startPair(scope, join(bench.folder, 'cpu'))
    const cpu = (): number => cpuSecondsOf(broker.pid) + cpuSecondsOf(proxy.pid)
    // In batches as a producer makes them under load, and in small ones, where the request is the cost.
    for (const records of [batchRecords, 10]) {
      const body = bodyOf(records, recordBytes)
      const requests = (bench.quick ? 1 : 10) * (records === batchRecords ? 300 : 1_500)
      const spent = (port: number) => async (): Promise<number> => {
        const before = cpu()
        await loadOver(port, connections, requests, (connection) =>
          askProduce(connection, '/produce?topic=telemetry', body),
        )
        return (cpu() - before) / ((requests * records) / 1e6)
      }
      const contestants = { through: spent(proxy.port), direct: spent(broker.port) }
      for (const warm of Object.values(contestants)) await warm()
      const { through, direct } = await takeTurns(bench, rounds, contestants)
      const extra = {
        records_a_request: records,
        cpu_s_per_million: through.median,
        peer_cpu_s_per_million: direct.median,
        connections,
      }
      const work = records === batchRecords ? 'produce-through-proxy' : 'produce-through-proxy-small'
      report(bench, work, 'records/CPU second', perSecond(through), { direct: perSecond(direct) }, extra)
    }
  } finally {
    await scope.end()
  }
}

function perSecond({ median, spread, rounds }: Figure): Figure {
  return { median: 1e6 / median, spread, rounds }
}
