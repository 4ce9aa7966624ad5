/**
 * The metrics a fleet can show, by DCGM's field names: how each is read from a GPU, in the unit of dcgm-exporter before
 * 4.9 (MHz, MiB, %, mJ), which is what exports on disk have.
 */

import type { Gpu, Reading } from './gpu.ts'
import { framebufferMiB, reservedMiB } from './inventory.ts'
import { powerLimitW } from './gpu.ts'

export type Reader = (reading: Reading, gpu: Gpu) => number

/** The metrics of the sample export, in its order. */
export const sampleMetrics: readonly string[] = [
  'DCGM_FI_DEV_GPU_UTIL',
  'DCGM_FI_DEV_MEM_COPY_UTIL',
  'DCGM_FI_DEV_POWER_USAGE',
  'DCGM_FI_DEV_GPU_TEMP',
  'DCGM_FI_DEV_FB_USED',
  'DCGM_FI_DEV_FB_FREE',
  'DCGM_FI_DEV_DEC_UTIL',
  'DCGM_FI_DEV_ENC_UTIL',
  'DCGM_FI_DEV_SM_CLOCK',
  'DCGM_FI_DEV_MEM_CLOCK',
]

/** A series for each XID a GPU has had, with the label `xid`, from the first event on: it has no reader here. */
export const xidTotal = 'DCGM_EXP_XID_ERRORS_TOTAL'

const readers: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['DCGM_FI_DEV_GPU_UTIL', (reading) => reading.utilPercent],
  ['DCGM_FI_DEV_MEM_COPY_UTIL', (reading) => reading.copyPercent],
  ['DCGM_FI_DEV_POWER_USAGE', (reading) => Math.round(reading.powerW * 1000) / 1000],
  ['DCGM_FI_DEV_GPU_TEMP', (reading) => Math.round(reading.coreC)],
  ['DCGM_FI_DEV_FB_USED', (reading) => reading.usedMiB],
  ['DCGM_FI_DEV_FB_FREE', (reading) => framebufferMiB - reading.usedMiB],
  ['DCGM_FI_DEV_DEC_UTIL', () => 0],
  ['DCGM_FI_DEV_ENC_UTIL', () => 0],
  ['DCGM_FI_DEV_SM_CLOCK', (reading) => reading.smClockMHz],
  ['DCGM_FI_DEV_MEM_CLOCK', (reading) => reading.memoryClockMHz],
  ['DCGM_FI_DEV_CLOCKS_EVENT_REASONS', (reading) => reading.reasons],
  ['DCGM_FI_DEV_XID_ERRORS', (_, gpu) => gpu.lastXid],
  ['DCGM_FI_DEV_MEMORY_TEMP', (reading) => Math.round(reading.memoryC)],
  ['DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION', (reading) => Math.floor(reading.energyJ * 1000)],
  ['DCGM_FI_DEV_POWER_MGMT_LIMIT', () => powerLimitW],
  ['DCGM_FI_DEV_FB_RESERVED', () => reservedMiB],
  ['DCGM_FI_DEV_PCIE_REPLAY_COUNTER', (_, gpu) => gpu.pcieReplays],
  ['DCGM_FI_DEV_ECC_SBE_VOL_TOTAL', (_, gpu) => gpu.eccSingleBit],
  ['DCGM_FI_DEV_ECC_DBE_VOL_TOTAL', (_, gpu) => gpu.eccDoubleBit],
  ['DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS', (_, gpu) => gpu.remappedRows],
  ['DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS', () => 0],
  ['DCGM_FI_DEV_ROW_REMAP_FAILURE', () => 0],
  ['DCGM_FI_PROF_GR_ENGINE_ACTIVE', (reading) => share(reading.engineShare)],
  ['DCGM_FI_PROF_PIPE_TENSOR_ACTIVE', (reading) => share(reading.tensorShare)],
  ['DCGM_FI_PROF_DRAM_ACTIVE', (reading) => share(reading.copyPercent / 100)],
  ['DCGM_FI_PROF_PCIE_TX_BYTES', (reading) => reading.sendBps],
  ['DCGM_FI_PROF_PCIE_RX_BYTES', (reading) => reading.receiveBps],
])

/** Every metric a fleet can show. */
export const fleetMetrics: readonly string[] = [...readers.keys(), xidTotal]

/** The readers of the named metrics but {@link xidTotal}. Throws a RangeError that names the first unknown one. */
export function readersOf(names: readonly string[]): {
  readonly names: readonly string[]
  readonly readers: readonly Reader[]
} {
  const plain = names.filter((name) => name !== xidTotal)
  const found = plain.map((name) => {
    const reader = readers.get(name)
    if (reader === undefined) throw new RangeError(`metric ${name}: want one of ${fleetMetrics.join(', ')}`)
    return reader
  })
  return { names: plain, readers: found }
}

function share(value: number): number {
  return Math.round(value * 1e4) / 1e4
}
