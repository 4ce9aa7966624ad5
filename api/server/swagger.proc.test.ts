/** Swagger UI in a real browser: with the key, a call made from the page answers, and nothing leaves this host. */

import { t as file, test } from 'tap'
import { gpuRecord } from '#store/samples'
import { testApi, testKey } from '#test/api'
import { openBrowser } from '#test/browser'
import { skipWithout, tools } from '#test/tools'

file.setTimeout(600_000)

test('a call made from the page answers', { skip: skipWithout(tools.chromium), timeout: 590_000 }, async (t) => {
  const api = await testApi(t, { records: [gpuRecord()] })
  const { page, origins, errors } = await (await openBrowser(t)).page()

  await page.goto(`${api.url}/swagger/`)
  await page.locator('button.authorize').first().click()
  await page.locator('.auth-container input').first().fill(testKey)
  await page.locator('.auth-btn-wrapper button.authorize').first().click()
  await page.locator('.auth-btn-wrapper button.btn-done').first().click()
  const operation = page.locator('#operations-fleet-getFleet')
  await operation.locator('.opblock-summary-control').click()
  await operation.locator('button.execute').click()
  const answer = operation.locator('.live-responses-table')
  t.match(await answer.locator('.response-col_status').last().innerText(), /^\s*200/)
  t.match(await answer.locator('.microlight').first().innerText(), /"gpus": 1,/)
  t.same([...origins], [api.url], 'no request leaves the host')
  t.same(errors, [], 'and the content security policy lets the page work')
})
