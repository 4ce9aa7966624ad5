/** The suite of all engines, on each InfluxDB that is there (`test/tools.ts`). */

import tap, { test } from 'tap'
import { type EngineUnderTest, storeContract } from '../contract.ts'
import { limitContract } from '../contract-limits.ts'
import { queryContract } from '../contract-queries.ts'
import { transferContract } from '../contract-transfers.ts'
import { storeModels } from '../models.ts'
import { openStore } from '../open.ts'
import { influx1, influx2, influx3, type InfluxServer, type StartedInflux } from '#test/influx'

for (const server of [influx1, influx2, influx3]) {
  if (server.skip === false) suite(server)
  else test(server.name, { skip: server.skip }, async () => undefined)
}

function suite(server: InfluxServer): void {
  // One server for all tests, and a bucket for each.
  let starting: Promise<StartedInflux> | undefined
  let buckets = 0
  const engine: EngineUnderTest = {
    name: server.name,
    runs: process.env['PENSTOCK_TEST_FULL'] === undefined ? 6 : 12,
    async open(t, limits = {}) {
      const { settings } = await (starting ??= server.start(tap))
      const own = { ...settings, dataDir: '', influxdbBucket: `test${buckets++}`, ...limits }
      // By what the server says, as most users have it.
      let store = await openStore(own)
      t.teardown(async () => store.close())
      return {
        store,
        async reopen() {
          await store.close()
          store = await openStore(own)
          return store
        },
      }
    },
  }
  storeContract(engine)
  queryContract(engine)
  limitContract(engine)
  transferContract(engine)
  storeModels(engine)
}
