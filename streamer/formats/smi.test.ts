import assert from 'node:assert/strict'
import fc from 'fast-check'
import { test } from 'tap'
import { identityOf } from '#telemetry/identity'
import { metricOf } from '#telemetry/catalogue'
import { normalise } from '#telemetry/normalise'
import { isRefused, readRecord, type GpuRecord } from '#telemetry/record'
import { Zone } from '#telemetry/zone'
import { Batcher } from '../batch.ts'
import { CsvReader } from './csv.ts'
import { formatOf } from './format.ts'
import { noSpan, TimeShift } from './times.ts'

interface Read {
  readonly records: GpuRecord[]
  readonly dead: { readonly reason: string; readonly line: number; readonly row: string }[]
}

/** What nvidia-smi wrote, as the collector sees it. */
function read(text: string, zone?: Zone): Read {
  const reader = new CsvReader({ offset: 0, line: 1 })
  reader.push(Buffer.from(text))
  reader.finish()
  assert.equal(reader.next(), 'row')
  const format = formatOf(Array.from({ length: reader.fieldCount }, (_, field) => reader.text(field)))
  if ('refused' in format) throw new Error(format.refused)
  assert.equal(format.name, 'nvidia-smi')
  const mapper = format.mapper(new TimeShift(0, noSpan, zone), 0, 'host-1')
  const batch = new Batcher(reader, mapper, format.fields, reader.rowText(10_000)).take(Infinity)
  const records = (batch?.records ?? []).map(({ data, key }) => {
    const record = readRecord(JSON.parse(data))
    if (isRefused(record)) throw new Error(record.refused)
    assert.equal((record as GpuRecord).uuid, key)
    return normalise(record) as GpuRecord
  })
  return { records, dead: [...(batch?.dead ?? [])] }
}

const header =
  'timestamp, index, uuid, name, driver_version, utilization.gpu [%], memory.used [MiB], temperature.gpu, power.draw [W]'

function valuesOf({ records }: Read): Record<string, number | null> {
  return Object.fromEntries(records.map(({ metric, value }) => [metric, value]))
}

test('a row becomes a record for each of its values, under the names of DCGM', async (t) => {
  const given = read(
    `${header}\n2026/11/22 12:00:00.123, 3, GPU-1, NVIDIA H100 80GB HBM3, 580.65.06, 97 %, 71234 MiB, 61, 612.34 W\n`,
  )
  t.same(given.records[0], {
    kind: 'gpu',
    time: '2026-11-22 12:00:00.123Z',
    device_id: 'nvidia3',
    metric: 'DCGM_FI_DEV_GPU_UTIL',
    value: 97,
    gpu_id: '3',
    uuid: 'GPU-1',
    model_name: 'NVIDIA H100 80GB HBM3',
    hostname: 'host-1',
    container: '',
    pod: '',
    namespace: '',
    labels: { driver_version: '580.65.06' },
  })
  const values = {
    DCGM_FI_DEV_GPU_UTIL: 97,
    DCGM_FI_DEV_FB_USED: 71234,
    DCGM_FI_DEV_GPU_TEMP: 61,
    DCGM_FI_DEV_POWER_USAGE: 612.34,
  }
  t.same(valuesOf(given), values)
  t.same(given.dead, [])
  const nounits = read(`${header}\n2026/11/22 12:00:00.123, 3, GPU-1, H100, 580, 97, 71234, 61, 612.34\n`)
  t.same(valuesOf(nounits), values, 'with nounits the header has the units all the same')
})

test('what has no value is not reported: a record without one, and no dead letter', async (t) => {
  for (const none of [
    '[N/A]',
    'N/A',
    '[Not Supported]',
    '[Unknown Error]',
    '[GPU is lost]',
    '[GPU requires reset]',
    '',
  ]) {
    const { records, dead } = read(
      `${header}\n2026/11/22 12:00:00.123, 0, GPU-1, H100, ${none}, 5 %, ${none}, 30, 70.00 W\n`,
    )
    t.same(dead, [], none)
    t.match(
      records.find(({ metric }) => metric === 'DCGM_FI_DEV_FB_USED'),
      { value: null, labels: {} },
      none,
    )
    t.equal(records.length, 4)
  }
})

test('states, masks and columns that DCGM does not have', async (t) => {
  const given = read(
    'timestamp, uuid, pstate, clocks_event_reasons.active, clocks_event_reasons.hw_slowdown, ecc.mode.current, clocks.current.sm [MHz], clocks.sm [MHz], ' +
      'clocks.current.graphics [MHz], utilization.jpeg [%], memory.used [KiB], compute_mode, pci.bus_id, some.new.state, encoder.stats.sessionCount, __proto__\n' +
      '2026/11/22 12:00:00.000, GPU-1, P2, 0x0000000000000044, Not Active, Enabled, 1980 MHz, 1980 MHz, 1755 MHz, 3 %, 1024 KiB, Default, 00000000:1B:00.0, Completed, 2, x\n',
  )
  t.same(valuesOf(given), {
    DCGM_FI_DEV_PSTATE: 2,
    DCGM_FI_DEV_CLOCKS_EVENT_REASONS: 0x44,
    NVIDIA_SMI_CLOCKS_EVENT_REASONS_HW_SLOWDOWN: 0,
    NVIDIA_SMI_ECC_MODE_CURRENT: 1,
    DCGM_FI_DEV_SM_CLOCK: 1980,
    NVIDIA_SMI_CLOCKS_CURRENT_GRAPHICS_MHZ: 1755,
    NVIDIA_SMI_UTILIZATION_JPEG_PERCENT: 3,
    // Not DCGM's, which counts in MiB.
    NVIDIA_SMI_MEMORY_USED_KIB: 1024,
    NVIDIA_SMI_ENCODER_STATS_SESSIONCOUNT: 2,
  })
  t.equal(new Set(given.records.map(identityOf)).size, given.records.length)
  t.match(given.records[0]?.labels, {
    compute_mode: 'Default',
    pci_bus_id: '00000000:1B:00.0',
    some_new_state: 'Completed',
  })
  t.same(given.dead, [])
})

test('a value that cannot be is a dead letter, and its neighbours go on', async (t) => {
  const { records, dead } = read(
    `${header}\n` +
      '2026/11/22 12:00:00.123, 0, GPU-1, H100, 580, 97 %, 12 GiB, 644245923, 70.00 W\n' +
      '2026/11/22 12:00:01.123, 0, [Unknown Error], H100, 580, 97 %, 12 MiB, 30, 70.00 W\n' +
      'yesterday, 0, GPU-1, H100, 580, 97 %, 12 MiB, 30, 70.00 W\n' +
      '2026/11/22 12:00:02.123, 0, GPU-1, H100\n',
  )
  t.same(
    records.map(({ metric }) => metric),
    ['DCGM_FI_DEV_GPU_UTIL', 'DCGM_FI_DEV_POWER_USAGE'],
  )
  t.match(dead, [
    { line: 2, reason: /^memory\.used \[MiB\] is "12 GiB": want a number of MiB$/, row: /12 GiB/ },
    { line: 2, reason: /^value 644245923 of DCGM_FI_DEV_GPU_TEMP is implausible/ },
    { line: 3, reason: /^uuid is "\[Unknown Error\]": want the one of a GPU$/ },
    { line: 4, reason: /^timestamp is "yesterday": want 2026\/11\/22 12:00:00\.123$/ },
    { line: 5, reason: /^the row has 4 fields/ },
  ])
})

test('times are UTC, or of a zone', async (t) => {
  const row = `${header}\n2026/11/22 12:00:00.123, 3, GPU-1, H100, 580, 97 %, 1 MiB, 61, 612.34 W\n`
  t.equal(read(row, new Zone('Europe/Berlin')).records[0]?.time, '2026-11-22T11:00:00.123Z')
})

test('a header that no records can be made of says what to ask nvidia-smi for', async (t) => {
  const wrong: [string, RegExp][] = [
    ['2026/11/22 12:00:00.123, 0, GPU-8b1b6a3c-0000-0000-0000-000000000000, 97 %', /leave noheader out of --format/],
    ['0, GPU-8b1b6a3c-0000-0000-0000-000000000000, 97 %', /leave noheader out of --format/],
    ['index, utilization.gpu [%]', /nvidia-smi wrote no timestamp and uuid: want --query-gpu=timestamp,index,uuid/],
    ['timestamp, index, name, utilization.gpu [%]', /nvidia-smi wrote no uuid: want/],
    ['timestamp, gpu_uuid, pid, process_name, used_gpu_memory [MiB]', /processes .*want the rows of --query-gpu/],
    ['timestamp, uuid, name, pci.bus_id', /^the header is "timestamp, uuid, name, pci\.bus_id"/],
    ['NVIDIA-SMI has failed because it could not talk to the driver', /^the header is "NVIDIA-SMI has failed/],
  ]
  for (const [line, reason] of wrong) t.match(formatOf(line.split(',')), { refused: reason }, line)
})

test('whatever is asked for, in any order, with units or without: each value is there, once', async () => {
  // prettier-ignore
  const fields = [
    ['utilization.gpu', '%', 'DCGM_FI_DEV_GPU_UTIL'], ['memory.used', 'MiB', 'DCGM_FI_DEV_FB_USED'], ['power.draw', 'W', 'DCGM_FI_DEV_POWER_USAGE'],
    ['clocks.current.memory', 'MHz', 'DCGM_FI_DEV_MEM_CLOCK'], ['temperature.gpu', '', 'DCGM_FI_DEV_GPU_TEMP'],
    ['clocks.max.graphics', 'MHz', 'NVIDIA_SMI_CLOCKS_MAX_GRAPHICS_MHZ'], ['pcie.link.width.current', '', 'DCGM_FI_DEV_PCIE_LINK_WIDTH'],
  ] as const
  const identities = ['timestamp', 'uuid', 'index', 'name'] as const
  const order = fc.shuffledSubarray([...fields.map(([name]) => name), ...identities], { minLength: 1 })
  const cell = fc.oneof(fc.integer({ min: 0, max: 99 }), fc.constant(null))
  const rows = fc.array(fc.array(cell, { minLength: fields.length, maxLength: fields.length }), {
    minLength: 1,
    maxLength: 5,
  })
  fc.assert(
    fc.property(order, rows, fc.boolean(), fc.constantFrom('\n', '\r\n'), (picked, table, units, lineEnd) => {
      const names = [...new Set(['timestamp', 'uuid', 'utilization.gpu', ...picked])]
      const unitOf = (name: string): string => fields.find(([field]) => field === name)?.[1] ?? ''
      const head = names.map((name) => (unitOf(name) === '' ? name : `${name} [${unitOf(name)}]`))
      const lines = table.map((cells, at) =>
        names.map((name) => {
          if (name === 'timestamp') return `2026/11/22 12:00:0${at}.000`
          if (name === 'uuid') return 'GPU-1'
          if (name === 'index') return '0'
          if (name === 'name') return 'H100'
          const value = cells[fields.findIndex(([field]) => field === name)]
          return value === null ? '[N/A]' : `${value}${units && unitOf(name) !== '' ? ` ${unitOf(name)}` : ''}`
        }),
      )
      const { records, dead } = read([head, ...lines].map((line) => line.join(', ')).join(lineEnd) + lineEnd)
      assert.deepEqual(dead, [])
      const wanted = table.flatMap((cells, at) =>
        names.flatMap((name) => {
          const index = fields.findIndex(([field]) => field === name)
          return index < 0 ? [] : [`${at} ${fields[index]?.[2]} ${cells[index]}`]
        }),
      )
      assert.deepEqual(
        records.map(({ time, metric, value }) => `${time.at(18)} ${metric} ${value}`),
        wanted,
      )
      for (const { metric } of records)
        assert.ok(metric.startsWith('NVIDIA_SMI_') || metricOf(metric)?.isCanonical === true, metric)
    }),
  )
})
