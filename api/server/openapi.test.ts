import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'tap'
import { contract } from '../contract.ts'
import type { Endpoint } from '../endpoint.ts'
import { openApi } from './openapi.ts'
import { temporaryFolder } from '#test/start'

type Json = Record<string, any>

const file: Json = openApi('1.2.3')

test('every route of the contract is an operation, under an id of its own', (t) => {
  const operations = Object.entries(file['paths'] as Json).flatMap(([path, methods]) =>
    Object.entries(methods as Json).map(([method, operation]): Json => ({ path, method, ...(operation as Json) })),
  )
  const wanted = Object.values<Endpoint>(contract).flatMap((row) =>
    [row.path, ...(row.also ?? [])].map((path) => `${row.method.toLowerCase()} ${path}`),
  )
  t.same(operations.map(({ method, path }) => `${method} ${path}`).toSorted(), wanted.toSorted())
  t.equal(new Set(operations.map((each) => each['operationId'])).size, operations.length)
  for (const operation of operations) {
    const inPath = [...(operation['path'] as string).matchAll(/\{(\w+)\}/g)].map((match) => match[1])
    const given = (operation['parameters'] as Json[]).filter((each) => each['in'] === 'path')
    t.same(
      given.map((each) => each['name']),
      inPath,
      `${operation['operationId']}: parameters of its path`,
    )
    t.ok(given.every((each) => each['required'] === true))
    t.ok(operation['responses']['401'], 'says what comes without a key')
  }
  t.end()
})

test('a route that may be refused for want of a turn says so, and when to come again; no other does', (t) => {
  for (const [operationId, row] of Object.entries<Endpoint>(contract)) {
    const { responses } = file['paths'][row.path][row.method.toLowerCase()]
    t.equal(responses['503'].description.includes('`overloaded`'), row.queued === true, operationId)
    t.ok(responses['503'].headers['Retry-After'])
  }
  t.end()
})

test('every reference leads somewhere, and every component is used', (t) => {
  const text = JSON.stringify(file)
  const used = new Set([...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map((match) => String(match[1])))
  t.same([...used].toSorted(), Object.keys(file['components']['schemas'] as Json).toSorted())
  t.notMatch(text, /"\$id"|"~kind"/)
  t.end()
})

test('a parameter with a default may be left out', (t) => {
  const parameters = file['paths']['/api/v1/transfers'].get.parameters as Json[]
  t.match(
    parameters.find((each) => each['name'] === 'limit'),
    { required: false, schema: { default: 100, minimum: 1, maximum: 1000 } },
  )
  t.end()
})

const isFull = process.env['PENSTOCK_TEST_FULL'] === '1'

test('a generator of clients takes the file', { skip: isFull ? false : 'needs a registry: --full' }, async (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'openapi.json')
  writeFileSync(path, JSON.stringify(file))
  const generator = ['--package=openapi-typescript@7.13.0', '--package=typescript@5.9.3']
  const args = ['exec', '--yes', '--loglevel=error', ...generator, '--', 'openapi-typescript', path]
  const { stdout } = await promisify(execFile)('npm', args, { cwd: folder, maxBuffer: 2 ** 26 })
  t.match(stdout, /getGpuTelemetry: \{/)
  t.match(stdout, /ProblemAnswer|Problem: \{/)
})
