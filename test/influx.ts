/** Real InfluxDB servers for tests: on loopback, on a free port, with their data in a folder that goes with the test. */

import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Scope, start, temporaryFolder } from './start.ts'
import type { Started } from './started.ts'
import { influxdb2Path, skipWithout, tools } from './tools.ts'

/** What a store needs to reach it. */
export interface InfluxSettings {
  readonly influxdbUrl: string
  readonly influxdbToken?: string
  readonly influxdbOrg?: string
}

export interface StartedInflux extends Started {
  readonly settings: InfluxSettings
}

export interface InfluxServer {
  readonly name: 'influx1' | 'influx2' | 'influx3'
  /** tap's `skip` option. */
  readonly skip: string | false
  /** @param folder where its data is; by another start with it the server comes back as it was */
  start(t: Scope, folder?: string, port?: number, env?: Readonly<Record<string, string>>): Promise<StartedInflux>
}

export const influx1: InfluxServer = {
  name: 'influx1',
  skip: skipWithout(tools.influxdb1),
  async start(t, folder = temporaryFolder(t), port = 0, env = {}) {
    const config = join(folder, 'influxdb.conf')
    writeFileSync(
      config,
      `
      reporting-disabled = true
      bind-address = "127.0.0.1:0"
      [meta]
        dir = "${folder}/meta"
      [data]
        dir = "${folder}/data"
        wal-dir = "${folder}/wal"
        query-log-enabled = false
      [http]
        bind-address = "127.0.0.1:${port}"
        log-enabled = false
      [monitor]
        store-enabled = false
      `,
    )
    const started = start(t, 'influxd', ['-config', config], { env })
    const listening = await started.waitFor(/Listening on HTTP/)
    const address = /addr=(\S+)/.exec(listening)?.[1]
    return { ...started, settings: { influxdbUrl: `http://${address}` } }
  },
}

const org = 'tests'
const token = 'a-token-of-the-tests'

export const influx2: InfluxServer = {
  name: 'influx2',
  skip: skipWithout(tools.influxdb2),
  async start(t, folder = temporaryFolder(t), port = 0) {
    const isNew = !existsSync(join(folder, 'bolt'))
    const started = start(t, influxdb2Path, [
      `--bolt-path=${folder}/bolt`,
      `--sqlite-path=${folder}/sqlite`,
      `--engine-path=${folder}/engine`,
      `--http-bind-address=127.0.0.1:${port}`,
      '--reporting-disabled',
    ])
    const listening = await started.waitFor(/msg=Listening .*transport=http/, 30_000)
    const influxdbUrl = `http://127.0.0.1:${/ port=(\d+)/.exec(listening)?.[1]}`
    if (isNew) {
      const body = JSON.stringify({ username: 'tests', password: 'of-the-tests', org, bucket: 'first', token })
      const answer = await fetch(`${influxdbUrl}/api/v2/setup`, { method: 'POST', body })
      if (!answer.ok) throw new Error(`the set-up of InfluxDB 2: ${answer.status} ${await answer.text()}`)
    }
    return { ...started, settings: { influxdbUrl, influxdbToken: token, influxdbOrg: org } }
  },
}

/** Whichever `influxdb3` stands on the PATH. It does not tell the port that it was given, so one is chosen. */
export const influx3: InfluxServer = {
  name: 'influx3',
  skip: skipWithout(tools.influxdb3),
  async start(t, folder = temporaryFolder(t), port = freePort()) {
    const address = `127.0.0.1:${port}`
    const started = start(t, 'influxdb3', [
      'serve',
      '--node-id=tests',
      '--object-store=file',
      `--data-dir=${folder}`,
      `--http-bind=${address}`,
      '--without-auth',
    ])
    await started.waitFor(/startup time|listening/i)
    return { ...started, settings: { influxdbUrl: `http://${address}` } }
  },
}

/** For servers that do not tell which port they were given. */
export function freePort(): number {
  const script = `const s = require('net').createServer().listen(0, '127.0.0.1', () => { console.log(s.address().port); s.close() })`
  return Number(spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' }).stdout)
}
