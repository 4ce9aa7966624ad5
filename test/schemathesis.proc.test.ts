/**
 * The OpenAPI file as the reference: schemathesis makes requests of it, right and wrong ones, and holds each answer to it.
 *
 * All of its checks but one. `positive_data_acceptance` wants everything accepted that a schema lets pass; times, durations,
 * cursors and ids are texts here, whose grammar the schemas do not say and the refusals do. The live stream is left out,
 * because its answer does not end (api/live/stream.test.ts).
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { gpuRecord, metricRecord, transferRecord } from '#store/samples'
import { fillStore } from './api.ts'
import { start, startRole, temporaryFolder } from './start.ts'
import { schemathesisPath, skipWithout, tools } from './tools.ts'

const isFull = process.env['PENSTOCK_TEST_FULL'] === '1'
const skip = skipWithout(tools.schemathesis)

/** Cases: without --full a few of each operation, and none of the combinations that it tries one by one. */
const amount = isFull ? ['--phases=coverage,fuzzing', '-n', '10'] : ['--phases=fuzzing', '-n', '2']
const seed = '1'

interface Report {
  readonly operations: { readonly selected: number; readonly tested: number }
  readonly test_cases: { readonly generated: number; readonly with_failures: number; readonly errored: number }
}

test(
  'no request gets a 5xx, or an answer that the OpenAPI file does not have',
  { skip, timeout: 1_100_000 },
  async (t) => {
    const dataDir = temporaryFolder(t)
    const gpus = [0, 1, 2].map((gpu) => gpuRecord({ uuid: `GPU-${gpu}`, gpu_id: String(gpu) }))
    await fillStore(dataDir, [...gpus, transferRecord(), metricRecord()])
    const broker = await startRole(t, 'broker')
    const env = {
      API_KEY: 'a-key-for-schemathesis',
      DATA_DIR: dataDir,
      MSG_QUEUE_ADDR: broker.url,
      RATE_LIMIT: '1000000',
      // It tries a wrong key at each route, several times a second on a fast machine.
      WRONG_KEY_LIMIT: '1000000',
    }
    const api = await startRole(t, 'api', { env })
    const report = join(temporaryFolder(t), 'report.json')
    const what = ['--checks=all', '--exclude-checks=positive_data_acceptance', '--exclude-path=/api/v1/stream']
    const how = [
      `--seed=${seed}`,
      '--generation-database=none',
      '--continue-on-failure',
      '--warnings=off',
      '--no-color',
    ]
    const key = ['-H', `X-API-Key: ${env.API_KEY}`]
    const url = `${api.url}/openapi.json`
    const ran = start(t, schemathesisPath, [
      'run',
      url,
      ...key,
      ...amount,
      ...what,
      ...how,
      `--report-json-path=${report}`,
    ])
    const { code } = await ran.exited
    if (code !== 0) return t.fail(ran.stdout.join('\n'))
    const { operations, test_cases: cases } = JSON.parse(readFileSync(report, 'utf8')) as Report
    const { generated, with_failures: failures, errored } = cases
    t.comment(`schemathesis: ${operations.tested} operations, ${generated} cases, ${failures} failures (seed ${seed})`)
    t.match({ failures, errored }, { failures: 0, errored: 0 })
    t.equal(operations.tested, operations.selected)
    t.ok(generated >= operations.selected, 'each operation was asked')
    t.ok(
      api.logs().every(({ level }) => level !== 'error'),
      'and nothing stands in the log as an error of ours',
    )
  },
)
