/** Swagger UI in a real browser: with the key, a call made from the page answers, and nothing leaves this host. */

import { chromium } from 'playwright-core'
import { t as file, test } from 'tap'
import { gpuRecord } from '#store/samples'
import { testApi, testKey } from '#test/api'
import { skipWithout, tools } from '#test/tools'

file.setTimeout(240_000)

test('a call made from the page answers', { skip: skipWithout(tools.chromium), timeout: 230_000 }, async (t) => {
  const api = await testApi(t, { records: [gpuRecord()] })
  // The container has no namespaces of its own to build the sandbox with.
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
  t.teardown(() => browser.close())
  const page = await browser.newPage()
  page.setDefaultTimeout(60_000)
  const hosts = new Set<string>()
  const errors: string[] = []
  page.on('request', (request) => hosts.add(new URL(request.url()).host))
  page.on('pageerror', (error) => errors.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text())
  })

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
  t.same([...hosts], [new URL(api.url).host], 'no request leaves the host')
  t.same(errors, [], 'and the content security policy lets the page work')
})
