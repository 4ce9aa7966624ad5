/** `/metrics/gpus`: what Prometheus is given, read back by an obvious reader and by Prometheus' own. */

import { spawnSync } from 'node:child_process'
import { t as root, test } from 'tap'
import { gpuRecord, metricRecord } from '#store/samples'
import type { TelemetryRecord } from '#telemetry/record'
import { testApi, testKey } from '#test/api'
import { testRows } from '#test/api-rows'
import { skipWithout, tools } from '#test/tools'

const nowMs = Date.parse('2025-07-18T20:43:00Z')
const at = (secondsAgo: number): string => new Date(nowMs - secondsAgo * 1000).toISOString()
const temperature = 'DCGM_FI_DEV_GPU_TEMP'
const odd = 'a\\b"c\nd é'
const other = { uuid: 'GPU-b', gpu_id: '1', device_id: 'nvidia1' }

const records: readonly TelemetryRecord[] = [
  gpuRecord({ metric: temperature, value: 61, time: at(5) }),
  gpuRecord({ metric: temperature, value: 0, time: at(5), ...other, pod: odd, namespace: 'ml', container: 'main' }),
  gpuRecord({ metric: 'DCGM_FI_DEV_POWER_USAGE', value: null, time: at(5) }),
  gpuRecord({ metric: 'DCGM_FI_DEV_SM_CLOCK', value: 1980, time: at(91) }),
  gpuRecord({ metric: 'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION', value: 1.5e15, time: at(5) }),
  gpuRecord({ metric: 'DCGM_EXP_XID_ERRORS_TOTAL', value: 2, time: at(5), labels: { xid: '79' } }),
  gpuRecord({ metric: 'DCGM_EXP_XID_ERRORS_TOTAL', value: 1, time: at(5), labels: { xid: '43' } }),
  gpuRecord({ metric: 'DCGM_FI_DEV_CLOCKS_EVENT_REASONS', value: 4, time: at(5) }),
  gpuRecord({ metric: 'fan.speed', value: 1, time: at(5) }),
  gpuRecord({ metric: 'fan-speed', value: 2, time: at(5) }),
  gpuRecord({ metric: '3d', value: 3, time: at(5) }),
  gpuRecord({ uuid: 'GPU-m', gpu_i_id: '7', hostname: 'host-2', metric: temperature, value: 40, time: at(5) }),
  gpuRecord({ uuid: 'GPU-old', gpu_id: '2', metric: temperature, value: 99, time: at(1_000) }),
  metricRecord({ time: at(5) }),
]

/** Lines as name, labels and value. */
function samplesIn(text: string) {
  return text.split('\n').flatMap((line) => {
    const found = /^(\w+)\{(.*)\} (\S+)$/.exec(line)
    if (found === null) return []
    const [, name = '', labels = '', value = ''] = found
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label = '', given = '']) => [
      label,
      given.replace(/\\(.)/g, (_, one: string) => (one === 'n' ? '\n' : one)),
    ])
    return [{ name, labels: Object.fromEntries(pairs) as Record<string, string>, value: Number(value) }]
  })
}

const filled = await testApi(root, { records, nowMs })
const valuesOf = (name: string) => (text: string) =>
  samplesIn(text)
    .filter((sample) => sample.name === name)
    .map(({ labels, value }) => [labels['uuid'], value])

testRows(
  { filled, bare: await testApi(root, { nowMs }) },
  {
    scrapeGpus: {
      happy: [
        [
          '/metrics/gpus',
          valuesOf(temperature),
          [
            ['GPU-a', 61],
            ['GPU-b', 0],
            ['GPU-m', 40],
          ],
        ],
        ['/metrics/gpus', valuesOf('DCGM_FI_DEV_POWER_USAGE'), []],
        ['/metrics/gpus', valuesOf('DCGM_FI_DEV_SM_CLOCK'), []],
        ['/metrics/gpus', valuesOf('DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION'), [['GPU-a', 1.5e15]]],
        ['/metrics/gpus', valuesOf('disk_used'), []],
        ['/metrics/gpus', valuesOf('_3d'), [['GPU-a', 3]]],
        [
          '/metrics/gpus',
          (text) => samplesIn(text).flatMap(({ name, labels }) => (name === 'fan_speed' ? [labels['metric']] : [])),
          ['fan-speed', 'fan.speed'],
        ],
        [
          '/metrics/gpus',
          (text) => samplesIn(text).find(({ labels }) => labels['uuid'] === 'GPU-b')?.labels,
          {
            gpu: '1',
            uuid: 'GPU-b',
            device: 'nvidia1',
            modelName: 'NVIDIA H100 80GB HBM3',
            hostname: 'host-1',
            namespace: 'ml',
            pod: odd,
            container: 'main',
          },
        ],
        [
          '/metrics/gpus',
          (text) => samplesIn(text).find(({ labels }) => labels['uuid'] === 'GPU-m')?.labels['GPU_I_ID'],
          '7',
        ],
        [
          '/metrics/gpus',
          (text) => samplesIn(text).flatMap(({ labels, value }) => (labels['xid'] === '79' ? [value] : [])),
          [2],
        ],
        [
          '/metrics/gpus',
          valuesOf('penstock_gpu_missing'),
          [
            ['GPU-a', 0],
            ['GPU-b', 0],
            ['GPU-old', 1],
            ['GPU-m', 0],
          ],
        ],
        [
          '/metrics/gpus',
          (text) => valuesOf('penstock_gpu_last_seen_timestamp_seconds')(text)[2],
          ['GPU-old', nowMs / 1000 - 1_000],
        ],
        [
          '/metrics/gpus',
          (text) => text.match(/^# TYPE DCGM\S+ \w+$/gm),
          [
            '# TYPE DCGM_EXP_XID_ERRORS_TOTAL counter',
            '# TYPE DCGM_FI_DEV_CLOCKS_EVENT_REASONS gauge',
            '# TYPE DCGM_FI_DEV_GPU_TEMP gauge',
            '# TYPE DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION counter',
          ],
        ],
        ['/metrics/gpus', (text) => text.includes(`# HELP ${temperature} GPU temperature (in C)\n`), true],
      ],
      empty: ['/metrics/gpus', (text) => text, ''],
      wrong: [['/metrics/gpus?host=a', 400, 'unknown_parameter', /takes no parameters/]],
    },
  },
)

test('Prometheus sends its key as Bearer, and is told the format', async (t) => {
  const headers = { authorization: `Bearer ${testKey}` }
  const answer = await fetch(`${filled.url}/metrics/gpus`, { headers })
  t.equal(answer.status, 200)
  t.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
})

test(
  'promtool finds the text sound, and complains of DCGM’s names only',
  { skip: skipWithout(tools.promtool) },
  async (t) => {
    const input = await (await filled.get('/metrics/gpus')).text()
    const { status, stderr, stdout } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' })
    // 0: nothing to say, 1: it cannot be read, 3: names that it would choose otherwise.
    t.ok(status === 0 || status === 3, `${status}: ${stderr}`)
    const said = `${stdout}${stderr}`.split('\n').filter((line) => line !== '')
    t.same(
      said.filter(
        (line) => !/snake_case|"_total" suffix|abbreviated units|should not end|should not contain/.test(line),
      ),
      [],
    )
  },
)
