import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EngineUnderTest, storeContract } from './contract.ts'
import { queryContract } from './contract-queries.ts'
import { limitContract } from './contract-limits.ts'
import { transferContract } from './contract-transfers.ts'
import { storeModels } from './models.ts'
import { openStore } from './open.ts'

const embedded: EngineUnderTest = {
  name: 'embedded',
  async open(t, limits = {}) {
    const dataDir = mkdtempSync(join(tmpdir(), 'penstock-store-'))
    let store = await openStore({ dataDir, ...limits })
    t.teardown(async () => {
      await store.close().catch(() => undefined)
      rmSync(dataDir, { recursive: true, force: true })
    })
    return {
      store,
      async reopen() {
        await store.close()
        store = await openStore({ dataDir, ...limits })
        return store
      },
    }
  },
}

storeContract(embedded)
queryContract(embedded)
limitContract(embedded)
transferContract(embedded)
storeModels(embedded)
