/** The dashboard as a person has it: in a browser, over real processes. */

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { t as file, test } from 'tap'
import type { Page } from 'playwright-core'
import { openBrowser } from './browser.ts'
import { root, startRole, temporaryFolder } from './start.ts'
import { skipWithout, tools } from './tools.ts'
import { exportOf, fileOf, fileTimeoutMs, up } from './up.ts'

file.setTimeout(fileTimeoutMs)

const skip = skipWithout(tools.chromium)

// `npm test` has built it already; a test that is run alone must not show an old page.
if (skip === false) spawnSync(process.execPath, [join(root, 'cli/dashboard.js')], { stdio: 'inherit' })

const key = 'key-of-the-browser-test'

/** What stands at a `data-testid`, once it fits. */
async function textOf(page: Page, id: string, fits: RegExp): Promise<string> {
  return (await page.getByTestId(id).filter({ hasText: fits }).textContent()) ?? ''
}

/** The link that `up` prints. */
function linkIn(line: string): string {
  return /http:\S+#key=\S+/.exec(line)?.[0] ?? ''
}

test('the link of `penstock up` opens on live values, and nothing leaves the host', { skip }, async (t) => {
  const folder = temporaryFolder(t)
  const started = up(t, folder, ['--demo'], { DEMO_HISTORY: '5m' })
  const link = linkIn(await started.waitFor(/#key=/, 120_000))
  const { origin } = new URL(link)
  const given = link.slice(link.indexOf('#key=') + '#key='.length)
  const { page, origins, errors } = await (await openBrowser(t)).page()
  await page.goto(link)

  t.match(await textOf(page, 'link', /Live$/), /Live/)
  t.match(await textOf(page, 'power', /kW|W/), /^\d[\d.]* k?W$/)
  t.match(await textOf(page, 'demo', /Demo/), /does not exist/)
  t.match(await textOf(page, 'age', /^\d+ s ago$/), /ago/, 'values are of now')
  t.equal(await page.getByTestId('gpus').textContent(), '31')

  t.notOk(page.url().includes(given), 'the key is not in the address')
  t.equal(await page.evaluate('history.length'), 2, 'nor one step back: only the empty page is')
  t.notOk((await page.content()).includes(given), 'nor anywhere in the page')

  const table = page.locator('table.gpus tbody')
  const before = await table.textContent()
  // The page may not evaluate strings, so that a wait within it cannot be told what to wait for.
  for (let tries = 0; tries < 180 && (await table.textContent()) === before; tries++) await sleep(500)
  t.not(await table.textContent(), before, 'values change by themselves')

  await page.getByRole('button', { name: 'gpu-a02:1' }).click()
  const charts = page.getByTestId('chart').locator('canvas')
  await charts.nth(3).waitFor()
  t.equal(await charts.count(), 4)
  t.equal(await page.locator('#gpu-title').textContent(), 'gpu-a02:1')
  t.match(page.url(), /#gpu=GPU-/, 'a link to this GPU can be kept')

  await page.reload()
  t.match(await textOf(page, 'link', /Live$/), /Live/, 'a reload needs no key')
  t.equal(await page.locator('#gpu-title').textContent(), 'gpu-a02:1', 'and shows the same GPU')
  t.strictSame([...origins], [origin], 'no request leaves the host')
  t.strictSame(errors, [])
})

test('a file that was read once: its figures, what is stale, and a GPU that is not there', { skip }, async (t) => {
  const { folder, csv } = fileOf(t, exportOf(30))
  const started = up(t, folder, ['--csv', csv], { API_KEY: key })
  const link = linkIn(await started.waitFor(/#key=/, 120_000))
  await started.waitFor(/^read 30, stored 30/, 60_000)
  const { page, errors } = await (await openBrowser(t)).page({ width: 360, height: 740, colours: 'light' })
  await page.goto(link)
  t.match(await textOf(page, 'age', /stale/), /ago \(stale\)/)
  t.equal(await page.getByTestId('utilisation').textContent(), '29.0 %')
  t.equal(await page.getByTestId('power').textContent(), 'not reported', 'no zero')
  t.match(await page.locator('table.gpus tbody tr').textContent(), /node-1:0stale/)
  t.ok(await page.evaluate('document.documentElement.scrollWidth === innerWidth'), 'a phone need not scroll sideways')
  t.strictSame(errors, [])
})

test('a wrong key, no key, an empty store, and a broker that is killed', { skip }, async (t) => {
  const dataDir = temporaryFolder(t)
  const broker = await startRole(t, 'broker', { env: { DATA_DIR: dataDir } })
  const env = { DATA_DIR: dataDir, MSG_QUEUE_ADDR: broker.url }
  const collector = await startRole(t, 'collector', { env })
  const api = await startRole(t, 'api', { env: { ...env, API_KEY: key, COLLECTOR_URL: collector.url } })
  const send = async (value: number) => {
    const body = JSON.stringify({ metric: 'DCGM_FI_DEV_GPU_UTIL', value, hostname: 'node-1', gpu_id: '0' })
    const headers = { 'x-api-key': key, 'content-type': 'application/json' }
    const { status } = await fetch(`${api.url}/telemetry`, { method: 'POST', headers, body })
    if (status !== 200) throw new Error(`POST /telemetry: ${status}`)
  }
  const { page, errors } = await (await openBrowser(t)).page()

  await page.goto(`${api.url}/#key=not-the-right-one`)
  t.match(await page.getByRole('alert').textContent(), /not a valid one/)
  await page.reload()
  const input = page.getByLabel('API key')
  await input.waitFor()
  t.equal(await page.getByRole('alert').count(), 0, 'the wrong one is not kept, and none is no mistake')
  await input.fill(key)
  await page.getByRole('button', { name: 'Open' }).click()

  await page.getByText('No GPU has been seen yet').waitFor()
  t.match(await page.locator('.empty').textContent(), /npm start -- --csv/)
  await textOf(page, 'link', /Live$/)
  await send(41)
  t.match(await textOf(page, 'utilisation', /41/), /41\.0 %/, 'the first value needs no reload')

  await broker.kill('SIGKILL')
  t.match(await textOf(page, 'troubles', /is down/), /Broker 0 is down/)
  t.match(await textOf(page, 'link', /no live records/), /no live records/)
  t.equal(await page.getByTestId('utilisation').textContent(), '41.0 %', 'what was known stays')

  await startRole(t, 'broker', { env: { DATA_DIR: dataDir, PORT: String(broker.port) } })
  t.match(await textOf(page, 'recovered', /is back/), /Broker 0 is back\. It was away for \d+ s/)
  await textOf(page, 'link', /Live$/)
  await send(77)
  t.match(await textOf(page, 'utilisation', /77/), /77\.0 %/, 'and it goes on by itself')

  await api.kill('SIGKILL')
  t.match(await textOf(page, 'troubles', /API does not answer/), /goes on by itself/)
  const apiEnv = { ...env, API_KEY: key, COLLECTOR_URL: collector.url, PORT: String(api.port) }
  await startRole(t, 'api', { env: apiEnv })
  await textOf(page, 'link', /Live$/)
  await send(12)
  t.match(await textOf(page, 'utilisation', /12/), /12\.0 %/)
  t.strictSame(errors, [])
})

test('a page that is opened while the database is away shows what is live, and what waits', { skip }, async (t) => {
  const broker = await startRole(t, 'broker', { env: { DATA_DIR: temporaryFolder(t) } })
  const away = { STORE: 'influx2', INFLUXDB_URL: 'http://127.0.0.1:9', INFLUXDB_TOKEN: 'none', INFLUXDB_ORG: 'none' }
  const api = await startRole(t, 'api', { env: { MSG_QUEUE_ADDR: broker.url, API_KEY: key, ...away } })
  const { page } = await (await openBrowser(t)).page()
  await page.goto(`${api.url}/#key=${key}`)
  t.match(await textOf(page, 'troubles', /store is down/), /^The store is down\. .*ECONNREFUSED/)
  await textOf(page, 'link', /Live$/)
  t.equal(await page.getByTestId('sum-stored').textContent(), '–', 'what is not known is no zero')
  t.equal(await page.locator('.empty').count(), 0, 'nobody says that the store holds no GPU')

  const body = JSON.stringify({ metric: 'DCGM_FI_DEV_GPU_UTIL', value: 41, hostname: 'node-1', gpu_id: '0' })
  const headers = { 'x-api-key': key, 'content-type': 'application/json' }
  t.equal((await fetch(`${api.url}/telemetry`, { method: 'POST', headers, body })).status, 200)
  t.match(await textOf(page, 'utilisation', /41/), /41\.0 %/, 'a value needs no store to be seen')
})
