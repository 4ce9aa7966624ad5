import fc from 'fast-check'
import { test } from 'tap'
import { isRefused, readRecord } from '#telemetry/record'
import { Fleet, type FleetOptions } from './fleet.ts'
import { reasonBits, slowdownC } from './gpu.ts'
import { fleetMetrics, xidTotal } from './metrics.ts'

const isFull = process.env['PENSTOCK_TEST_FULL'] === '1'
const startMs = Date.UTC(2026, 0, 15, 9)
const hourMs = 3_600_000
const small: FleetOptions = { seed: 1, hosts: 4, gpusPerHost: 8, startMs, stepMs: 10_000, metrics: fleetMetrics }

/** For each metric the value of each GPU at each of the next `steps` moments: `series.get(metric)[gpu][step]`. */
function watch(fleet: Fleet, steps: number): Map<string, number[][]> {
  const series = new Map(fleet.metrics.map((metric) => [metric, fleet.gpus.map((): number[] => [])]))
  for (let step = 0; step < steps; step++) {
    const { values } = fleet.sample()
    for (const [m, metric] of fleet.metrics.entries()) {
      for (const [g, gpu] of fleet.gpus.entries()) {
        const value = gpu.gone ? NaN : (values[m * fleet.gpus.length + g] as number)
        ;(series.get(metric) as number[][])[g]?.push(value)
      }
    }
  }
  return series
}

function correlation(pairs: readonly (readonly [number, number])[]): number {
  const known = pairs.filter(([x, y]) => !Number.isNaN(x) && !Number.isNaN(y))
  const mean = (of: 0 | 1): number => known.reduce((sum, pair) => sum + pair[of], 0) / known.length
  const [meanX, meanY] = [mean(0), mean(1)]
  let [xy, xx, yy] = [0, 0, 0]
  for (const [x, y] of known) {
    xy += (x - meanX) * (y - meanY)
    xx += (x - meanX) ** 2
    yy += (y - meanY) ** 2
  }
  return xy / Math.sqrt(xx * yy)
}

test('winding forward changes nothing of what follows', (t) => {
  fc.assert(
    fc.property(
      fc.integer(),
      fc.integer({ min: 1, max: 400 }),
      fc.integer({ min: 0, max: 9999 }),
      (seed, steps, early) => {
        const options = { ...small, seed, hosts: 2 }
        const stepped = new Fleet(options)
        for (let step = 0; step < steps; step++) stepped.sample()
        const wound = new Fleet(options)
        wound.seek(startMs + steps * small.stepMs - early)
        return JSON.stringify(stepped.step()) === JSON.stringify(wound.step())
      },
    ),
    { numRuns: isFull ? 10 : 5 },
  )
  const fleet = new Fleet(small)
  fleet.step()
  t.throws(() => fleet.seek(startMs), /at 2026-01-15T09:00:10Z already/)
  t.end()
})

test('a longer step shows the same values, and all transfers', (t) => {
  const often = new Fleet(small)
  const seldom = new Fleet({ ...small, stepMs: 60_000 })
  let transfers: unknown[] = []
  for (let step = 0; step <= 180; step++) {
    const moment = often.step()
    if (step > 0) transfers.push(...moment.transfers)
    if (step % 6 !== 0) continue
    const same = seldom.step()
    if (step > 0) t.same(same.transfers, transfers)
    t.same(same.gpu, moment.gpu)
    transfers = []
  }
  t.end()
})

test('another seed is another fleet, and one host lacks a GPU', (t) => {
  const one = new Fleet(small)
  const other = new Fleet({ ...small, seed: 2 })
  t.notSame(one.step(), other.step())
  t.equal(one.gpus.length, 31)
  const all = [...one.gpus, ...other.gpus].map((gpu) => gpu.device)
  t.equal(new Set(all.map((device) => device.uuid)).size, all.length)
  t.ok(all.every((device) => /^GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(device.uuid)))
  t.same([...new Set(one.gpus.map((gpu) => gpu.device.hostname))], ['gpu-a01', 'gpu-a02', 'gpu-a03', 'gpu-a04'])
  const large = new Fleet({ ...small, hosts: 2000, gpusPerHost: 2 })
  t.equal(new Set(large.gpus.map((gpu) => gpu.device.uuid)).size, 3999)
  t.equal(new Set(large.gpus.map((gpu) => gpu.device.hostname)).size, 2000)
  t.end()
})

test('every record is one that the collector takes', (t) => {
  const fleet = new Fleet({ ...small, stepMs: 300_000 })
  const seen = new Set<string>()
  for (let step = 0; step < 60; step++) {
    const { gpu, transfers } = fleet.step()
    for (const record of [...gpu, ...transfers]) {
      const read = readRecord(record)
      if (isRefused(read)) t.fail(read.refused)
      if (record.kind === 'gpu') seen.add(record.metric)
    }
  }
  t.same([...seen].sort(), [...fleetMetrics].sort())
  t.end()
})

test('every seed shows an idle, a stuck, a hot and a failing GPU and a failing link within its first hour', (t) => {
  for (let seed = 0; seed < (isFull ? 10 : 5); seed++) {
    const fleet = new Fleet({ ...small, seed, hosts: 2, stepMs: 60_000 })
    const transfers: { link: string; failed: boolean }[] = []
    const util: number[] = fleet.gpus.map(() => 0)
    const used: number[] = fleet.gpus.map(() => Infinity)
    const free: number[] = fleet.gpus.map(() => Infinity)
    let [hot, xids] = [0, 0]
    for (let step = 0; step < 60; step++) {
      const moment = fleet.step()
      const indexOf = new Map(fleet.gpus.map((gpu, index) => [gpu.device.uuid, index]))
      for (const { metric, uuid, value } of moment.gpu) {
        const index = indexOf.get(uuid) as number
        if (value === null) continue
        if (metric === 'DCGM_FI_DEV_GPU_UTIL') util[index] = Math.max(util[index] as number, value)
        if (metric === 'DCGM_FI_DEV_FB_USED') used[index] = Math.min(used[index] as number, value)
        if (metric === 'DCGM_FI_DEV_FB_FREE') free[index] = Math.min(free[index] as number, value)
        if (metric === 'DCGM_FI_DEV_CLOCKS_EVENT_REASONS' && value & reasonBits.softwareThermal) hot++
        if (metric === xidTotal) xids++
      }
      for (const { source_site, destination_site, status } of moment.transfers) {
        transfers.push({ link: `${source_site} ${destination_site}`, failed: status === 'failed' })
      }
    }
    const unused = [...fleet.gpus.keys()].filter((g) => util[g] === 0)
    t.ok(
      unused.some((g) => used[g] === 4 && (free[g] as number) > 80_000),
      `seed ${seed}: a GPU is idle`,
    )
    t.ok(
      unused.some((g) => (used[g] as number) > 40_000),
      `seed ${seed}: a GPU is stuck`,
    )
    t.ok(hot > 10, `seed ${seed}: a GPU throttles (${hot})`)
    t.ok(xids > 10, `seed ${seed}: a GPU has XID errors (${xids})`)
    const links = [...Map.groupBy(transfers, ({ link }) => link).values()]
    const shares = links.map((each) => each.filter(({ failed }) => failed).length / each.length)
    t.equal(links.length, 6)
    t.ok(Math.max(...shares) > 0.12, `seed ${seed}: a link fails (${shares.join(' ')})`)
    t.ok((shares.sort((a, b) => a - b)[2] as number) < 0.1, `seed ${seed}: others do not`)
  }
  t.end()
})

test('power follows utilisation, heat follows power and lags it', (t) => {
  const fleet = new Fleet({ ...small, hosts: 8 })
  const series = watch(fleet, 1080)
  const [util, power, temp, clock] = ['GPU_UTIL', 'POWER_USAGE', 'GPU_TEMP', 'SM_CLOCK'].map(
    (name) => series.get(`DCGM_FI_DEV_${name}`) as number[][],
  ) as [number[][], number[][], number[][], number[][]]
  const utilPower = util.flatMap((gpu, g) => gpu.map((value, s) => [value, power[g]?.[s] as number] as const))
  t.ok(correlation(utilPower) > 0.8, `utilisation and power: ${correlation(utilPower)}`)
  const lagged = (lag: number): number =>
    correlation(
      power.flatMap((gpu, g) => {
        return gpu.slice(6, -6).map((value, s) => [value, temp[g]?.[s + 6 + lag] as number] as const)
      }),
    )
  t.ok(lagged(0) > 0.7, `power and heat: ${lagged(0)}`)
  t.ok(lagged(3) > lagged(0) + 0.01 && lagged(0) > lagged(-3), `heat lags: ${lagged(-3)} ${lagged(0)} ${lagged(3)}`)
  for (const [g, gpu] of temp.entries()) {
    for (let s = 1; s < gpu.length; s++) {
      const change = Math.abs((gpu[s] as number) - (gpu[s - 1] as number))
      if (change > 14) t.fail(`GPU ${g} warms ${change} degrees in 10 s`)
      if ((gpu[s] as number) > slowdownC && (clock[g]?.[s] as number) >= 1980) t.fail(`GPU ${g} is hot at full clocks`)
    }
  }
  t.end()
})

test('memory only grows while a job loads, stays while it works, and goes with it', (t) => {
  const fleet = new Fleet({ ...small, metrics: ['DCGM_FI_DEV_FB_USED', 'DCGM_FI_DEV_FB_FREE'] })
  let [grown, freed] = [0, 0]
  const last = fleet.gpus.map((gpu) => ({ owner: gpu.owner, used: NaN }))
  for (let step = 0; step < 2000; step++) {
    const { values } = fleet.sample()
    for (const [g, gpu] of fleet.gpus.entries()) {
      const [used, free] = [values[g] as number, values[g + fleet.gpus.length] as number]
      if (used + free !== 81_007 && !Number.isNaN(used + free)) t.fail(`${used} + ${free} MiB`)
      const before = last[g] as (typeof last)[number]
      if (gpu.owner === before.owner && used < before.used) t.fail('memory shrinks')
      if (gpu.owner === before.owner && used > before.used) grown++
      if (gpu.owner !== before.owner && used === 4) freed++
      last[g] = { owner: gpu.owner, used: Number.isNaN(used) ? before.used : used }
    }
  }
  t.ok(grown > 100, `${grown} steps of growth`)
  t.ok(freed > 20, `${freed} times freed`)
  t.end()
})

test('counters never fall, and values stay in the range of the hardware', (t) => {
  const fleet = new Fleet({ ...small, stepMs: 60_000 })
  const series = watch(fleet, 1440)
  const ranges: Record<string, [number, number]> = {
    DCGM_FI_DEV_GPU_UTIL: [0, 100],
    DCGM_FI_DEV_MEM_COPY_UTIL: [0, 100],
    DCGM_FI_DEV_POWER_USAGE: [60, 700],
    DCGM_FI_DEV_GPU_TEMP: [20, 90],
    DCGM_FI_DEV_MEMORY_TEMP: [20, 105],
    DCGM_FI_DEV_SM_CLOCK: [345, 1980],
    DCGM_FI_PROF_GR_ENGINE_ACTIVE: [0, 1],
    DCGM_FI_PROF_PIPE_TENSOR_ACTIVE: [0, 1],
    DCGM_FI_PROF_DRAM_ACTIVE: [0, 1],
  }
  for (const [metric, [low, high]] of Object.entries(ranges)) {
    const values = (series.get(metric) as number[][]).flat().filter((value) => !Number.isNaN(value))
    const [min, max] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))]
    t.ok(min >= low && max <= high, `${metric} is within ${low} to ${high}: ${min} to ${max}`)
    t.ok(max > min, `${metric} moves`)
  }
  for (const metric of ['TOTAL_ENERGY_CONSUMPTION', 'ECC_SBE_VOL_TOTAL', 'ECC_DBE_VOL_TOTAL', 'PCIE_REPLAY_COUNTER']) {
    for (const gpu of series.get(`DCGM_FI_DEV_${metric}`) as number[][]) {
      const known = gpu.filter((value) => !Number.isNaN(value))
      if (known.some((value, s) => value < (known[s - 1] ?? 0))) t.fail(`${metric} falls`)
    }
  }
  const util = (series.get('DCGM_FI_DEV_GPU_UTIL') as number[][]).flat()
  const blank = util.filter((value) => Number.isNaN(value)).length / util.length
  t.ok(blank > 0 && blank < 0.05, `not reported, or gone: ${blank}`)
  const busy = util.filter((value) => value > 0).length / util.length
  t.ok(busy > 0.4 && busy < 0.9, `busy: ${busy}`)
  t.end()
})

test('a transfer that failed is tried again until it succeeds or is final', (t) => {
  const fleet = new Fleet({ ...small, hosts: 1, stepMs: hourMs })
  const moments = Array.from({ length: 48 }, () => fleet.step().transfers)
  const attempts = moments.flat()
  t.equal(new Set(attempts.map(({ id }) => id)).size, attempts.length)
  const byFile = [...Map.groupBy(attempts, ({ id }) => id.replace(/-\d$/, '')).values()]
  let retried = 0
  for (const tries of byFile) {
    tries.sort((a, b) => (a.attempt as number) - (b.attempt as number))
    // Those at the edges of the time watched are cut.
    if (tries[0]?.attempt !== 1 || tries.at(-1)?.final !== true) continue
    if (tries.length > 1) retried++
    const early = tries.slice(0, -1)
    if (early.some(({ final, status, error, error_class }) => final || status !== 'failed' || !error || !error_class)) {
      t.fail(`before the last attempt: ${JSON.stringify(early)}`)
    }
    if (early.some(({ time }, i) => time >= (tries[i + 1]?.started as string))) t.fail('attempts overlap')
  }
  t.ok(retried > 50, `${retried} tried again`)
  const failed = attempts.filter(({ status }) => status === 'failed').length / attempts.length
  t.ok(failed > 0.015 && failed < 0.15, `failed: ${failed}`)
  for (const [hour, transfers] of moments.entries()) {
    const toMs = startMs + hour * hourMs
    t.ok(transfers.every(({ time }) => Date.parse(time) <= toMs && Date.parse(time) > toMs - hourMs))
  }
  t.end()
})

test('the smallest fleets work, and wrong options are named', (t) => {
  for (const [hosts, gpusPerHost] of [
    [1, 1],
    [1, 2],
    [2, 1],
    [1, 3],
    [2, 2],
    [3, 16],
  ] as const) {
    const fleet = new Fleet({ ...small, hosts, gpusPerHost, metrics: ['DCGM_FI_DEV_GPU_UTIL'] })
    fleet.seek(startMs + 48 * hourMs)
    t.ok(fleet.step().gpu.length <= hosts * gpusPerHost)
    t.ok(fleet.gpus.length >= Math.max(1, hosts * gpusPerHost - 1))
  }
  const wrong: [Partial<FleetOptions>, RegExp][] = [
    [{ seed: 0.5 }, /seed=0.5: want a whole number/],
    [{ hosts: 0 }, /hosts=0: want a whole number from 1 to 100000/],
    [{ gpusPerHost: 17 }, /gpusPerHost=17/],
    [{ stepMs: 0 }, /stepMs=0/],
    [{ startMs: NaN }, /startMs=NaN/],
    [{ transfersPerMinute: -1 }, /transfersPerMinute=-1/],
    [{ metrics: ['DCGM_FI_DEV_NONSENSE'] }, /metric DCGM_FI_DEV_NONSENSE: want one of DCGM_FI_DEV_GPU_UTIL/],
  ]
  for (const [options, message] of wrong) t.throws(() => new Fleet({ ...small, ...options }), message)
  t.equal(new Fleet({ ...small, transfersPerMinute: 0, stepMs: hourMs }).step().transfers.length, 0)
  t.end()
})
