/**
 * The catalogue: one table of metrics. The canonical name is the DCGM field name that exporters before 4.9.0 use; the
 * aliases are the names of later ones, with the scale between them, so that a mixed fleet is one series a GPU.
 *
 * Sources: DCGM's `dcgm_fields.h` (4.6.1) for names, units and the aliases of one field; its base-unit fields 1600 to
 * 1612 for the rescaled ones; the DCGM 4.7 field reference for 1611 to 1648; dcgm-exporter's `default-counters.csv`. A
 * name that none of them confirms is left out: a metric that is not here passes as it is.
 */

/** Gauges move both ways; counters only rise (and reset); states are codes; masks are bits; events count events. */
export type MetricKind = 'gauge' | 'counter' | 'state' | 'mask' | 'event'

/** What may be computed over a window of a metric's values. */
export type MetricFunction =
  | 'last'
  | 'count'
  | 'min'
  | 'max'
  | 'mean'
  | 'sum'
  | 'quantile'
  | 'integral'
  | 'increase'
  | 'rate'
  | 'bits'

/** The mean of a bit mask means nothing, and neither does the maximum of a counter that resets: both are refused. */
export const functionsOf: Readonly<Record<MetricKind, readonly MetricFunction[]>> = {
  gauge: ['last', 'count', 'min', 'max', 'mean', 'sum', 'quantile', 'integral'],
  counter: ['last', 'count', 'increase', 'rate'],
  event: ['last', 'count', 'increase', 'rate'],
  state: ['last', 'count', 'min', 'max'],
  mask: ['last', 'count', 'bits'],
}

/** How a name of another exporter version maps to the canonical one. */
export interface Alias {
  readonly name: string
  /** canonical value = value x times / over. Two whole numbers, because x 0.000001 is not exact and / 1,000,000 is. */
  readonly times: number
  readonly over: number
  /** Values above this are in the canonical unit already: one name was used for two units. */
  readonly rescaleMax: number
}

/** One metric. */
export interface Metric {
  readonly name: string
  readonly kind: MetricKind
  readonly unit: string
  /** The plausible range in that unit: wide enough for GPUs to come, narrow enough to catch garbage. */
  readonly min: number
  readonly max: number
  readonly help: string
  readonly aliases: readonly Alias[]
  readonly functions: readonly MetricFunction[]
  /** A value from here on is DCGM's floating-point blank. Counters run past it, so for them there is no such number. */
  readonly blankFrom: number
}

/** A name that the catalogue knows. */
export interface KnownName {
  readonly metric: Metric
  /** Whether it is the metric's own name, and no alias. */
  readonly isCanonical: boolean
  /** Turns a value that came under this name into the canonical unit. */
  toCanonical(value: number): number
}

/** Looks a name up, canonical or alias; `undefined` for a metric that the catalogue does not have. */
export function metricOf(name: string): KnownName | undefined {
  return known.get(name)
}

/** `dcgm_structs.h`: `DCGM_FP64_BLANK`, 2^47. */
const fp64Blank = 140_737_488_355_328

/** The same field under another name. */
function same(name: string): Alias {
  return { name, times: 1, over: 1, rescaleMax: Infinity }
}

function scaled(name: string, times: number, over: number, rescaleMax = Infinity): Alias {
  return { name, times, over, rescaleMax }
}

type Row = readonly [name: string, unit: string, min: number, max: number, help: string, ...aliases: Alias[]]

// prettier-ignore
const table: Readonly<Record<MetricKind, readonly Row[]>> = {
  gauge: [
    // DCGM 4.6 calls the percent field GPU_UTIL_RATIO, 4.7 gives that name to a true ratio: over 1 it is a percent.
    ['DCGM_FI_DEV_GPU_UTIL', '%', 0, 100, 'GPU utilisation; means nothing under MIG',
      scaled('DCGM_FI_DEV_GPU_UTIL_RATIO', 100, 1, 1), same('dcgm_gpu_utilization')],
    ['DCGM_FI_DEV_MEM_COPY_UTIL', '%', 0, 100, 'Memory bandwidth utilisation, not memory used',
      scaled('DCGM_FI_DEV_MEMORY_UTIL_RATIO', 100, 1), same('dcgm_mem_copy_utilization')],
    ['DCGM_FI_DEV_ENC_UTIL', '%', 0, 100, 'Encoder utilisation',
      scaled('DCGM_FI_DEV_ENC_UTIL_RATIO', 100, 1), same('dcgm_enc_utilization')],
    ['DCGM_FI_DEV_DEC_UTIL', '%', 0, 100, 'Decoder utilisation',
      scaled('DCGM_FI_DEV_DEC_UTIL_RATIO', 100, 1), same('dcgm_dec_utilization')],
    ['DCGM_FI_DEV_FB_TOTAL', 'MiB', 0, 16_777_216, 'Frame buffer memory',
      scaled('DCGM_FI_DEV_FB_CAPACITY_BYTES', 1, 1_048_576)],
    ['DCGM_FI_DEV_FB_FREE', 'MiB', 0, 16_777_216, 'Frame buffer memory free',
      scaled('DCGM_FI_DEV_FB_FREE_BYTES', 1, 1_048_576), same('dcgm_fb_free')],
    ['DCGM_FI_DEV_FB_USED', 'MiB', 0, 16_777_216, 'Frame buffer memory used',
      scaled('DCGM_FI_DEV_FB_USED_BYTES', 1, 1_048_576), same('dcgm_fb_used')],
    ['DCGM_FI_DEV_FB_RESERVED', 'MiB', 0, 16_777_216, 'Frame buffer memory reserved',
      scaled('DCGM_FI_DEV_FB_RESERVED_BYTES', 1, 1_048_576)],
    ['DCGM_FI_DEV_FB_USED_PERCENT', 'ratio', 0, 1.05, 'Used / (total - reserved), 0 to 1 in spite of its name',
      same('DCGM_FI_DEV_FB_USED_RATIO')],
    ['DCGM_FI_DEV_BAR1_TOTAL', 'MiB', 0, 16_777_216, 'BAR1 memory',
      scaled('DCGM_FI_DEV_BAR1_CAPACITY_BYTES', 1, 1_048_576)],
    ['DCGM_FI_DEV_BAR1_USED', 'MiB', 0, 16_777_216, 'BAR1 memory used',
      scaled('DCGM_FI_DEV_BAR1_USED_BYTES', 1, 1_048_576)],
    ['DCGM_FI_DEV_BAR1_FREE', 'MiB', 0, 16_777_216, 'BAR1 memory free',
      scaled('DCGM_FI_DEV_BAR1_FREE_BYTES', 1, 1_048_576)],
    ['DCGM_FI_DEV_GPU_TEMP', 'C', -60, 200, 'GPU temperature',
      same('DCGM_FI_DEV_GPU_TEMP_CELSIUS'), same('dcgm_gpu_temp')],
    ['DCGM_FI_DEV_MEMORY_TEMP', 'C', -60, 200, 'Memory temperature',
      same('DCGM_FI_DEV_MEMORY_TEMP_CELSIUS'), same('dcgm_memory_temp')],
    ['DCGM_FI_DEV_GPU_TEMP_LIMIT', 'C', -200, 300, 'Margin to the slowdown threshold, not a temperature',
      same('DCGM_FI_DEV_GPU_TEMP_MARGIN_CELSIUS')],
    ['DCGM_FI_DEV_SLOWDOWN_TEMP', 'C', 0, 300, 'Slowdown temperature', same('DCGM_FI_DEV_GPU_TEMP_SLOWDOWN_CELSIUS')],
    ['DCGM_FI_DEV_SHUTDOWN_TEMP', 'C', 0, 300, 'Shutdown temperature', same('DCGM_FI_DEV_GPU_TEMP_SHUTDOWN_CELSIUS')],
    ['DCGM_FI_DEV_GPU_MAX_OP_TEMP', 'C', 0, 300, 'Highest operating temperature',
      same('DCGM_FI_DEV_GPU_MAX_OP_TEMP_CELSIUS')],
    ['DCGM_FI_DEV_MEM_MAX_OP_TEMP', 'C', 0, 300, 'Highest operating temperature of the memory',
      same('DCGM_FI_DEV_MEMORY_MAX_OP_TEMP_CELSIUS')],
    ['DCGM_FI_DEV_POWER_USAGE', 'W', 0, 20_000, 'Power draw',
      same('DCGM_FI_DEV_BOARD_POWER_WATTS'), same('dcgm_power_usage')],
    ['DCGM_FI_DEV_POWER_USAGE_INSTANT', 'W', 0, 20_000, 'Power draw, not averaged',
      same('DCGM_FI_DEV_BOARD_POWER_RAW_WATTS')],
    ['DCGM_FI_DEV_POWER_MGMT_LIMIT', 'W', 0, 20_000, 'Power limit asked for',
      same('DCGM_FI_DEV_BOARD_POWER_LIMIT_REQUESTED_WATTS')],
    ['DCGM_FI_DEV_POWER_MGMT_LIMIT_MIN', 'W', 0, 20_000, 'Lowest power limit',
      same('DCGM_FI_DEV_BOARD_POWER_LIMIT_MIN_WATTS')],
    ['DCGM_FI_DEV_POWER_MGMT_LIMIT_MAX', 'W', 0, 20_000, 'Highest power limit',
      same('DCGM_FI_DEV_BOARD_POWER_LIMIT_MAX_WATTS')],
    ['DCGM_FI_DEV_POWER_MGMT_LIMIT_DEF', 'W', 0, 20_000, 'Default power limit',
      same('DCGM_FI_DEV_BOARD_POWER_LIMIT_DEFAULT_WATTS')],
    ['DCGM_FI_DEV_ENFORCED_POWER_LIMIT', 'W', 0, 20_000, 'Power limit in force',
      same('DCGM_FI_DEV_BOARD_POWER_LIMIT_ENFORCED_WATTS')],
    ['DCGM_FI_DEV_SM_CLOCK', 'MHz', 0, 100_000, 'SM clock',
      scaled('DCGM_FI_DEV_SM_CLOCK_HERTZ', 1, 1_000_000), same('dcgm_sm_clock')],
    ['DCGM_FI_DEV_MEM_CLOCK', 'MHz', 0, 100_000, 'Memory clock',
      scaled('DCGM_FI_DEV_MEMORY_CLOCK_HERTZ', 1, 1_000_000), same('dcgm_memory_clock')],
    ['DCGM_FI_DEV_VIDEO_CLOCK', 'MHz', 0, 100_000, 'Video clock',
      scaled('DCGM_FI_DEV_VIDEO_CLOCK_HERTZ', 1, 1_000_000)],
    ['DCGM_FI_DEV_APP_SM_CLOCK', 'MHz', 0, 100_000, 'SM application clock',
      scaled('DCGM_FI_DEV_SM_APP_CLOCK_HERTZ', 1, 1_000_000)],
    ['DCGM_FI_DEV_APP_MEM_CLOCK', 'MHz', 0, 100_000, 'Memory application clock',
      scaled('DCGM_FI_DEV_MEMORY_APP_CLOCK_HERTZ', 1, 1_000_000)],
    ['DCGM_FI_DEV_MAX_SM_CLOCK', 'MHz', 0, 100_000, 'Highest SM clock',
      scaled('DCGM_FI_DEV_SM_MAX_CLOCK_HERTZ', 1, 1_000_000)],
    ['DCGM_FI_DEV_MAX_MEM_CLOCK', 'MHz', 0, 100_000, 'Highest memory clock',
      scaled('DCGM_FI_DEV_MEMORY_MAX_CLOCK_HERTZ', 1, 1_000_000)],
    ['DCGM_FI_DEV_MAX_VIDEO_CLOCK', 'MHz', 0, 100_000, 'Highest video clock',
      scaled('DCGM_FI_DEV_VIDEO_MAX_CLOCK_HERTZ', 1, 1_000_000)],
    ['DCGM_FI_DEV_FAN_SPEED', '%', 0, 1000, 'Fan speed, may exceed 100', scaled('DCGM_FI_DEV_FAN_SPEED_RATIO', 100, 1)],
    // The old field divides KiB/s by 1,000 and calls it MB/s, the new one multiplies by 1,024: hence 1,024,000.
    ['DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL', 'MB/s', 0, 1e12, 'NVLink throughput over all lanes',
      same('DCGM_FI_DEV_NVLINK_THROUGHPUT_TOTAL'),
      scaled('DCGM_FI_DEV_NVLINK_THROUGHPUT_BYTES_PER_SECOND', 1, 1_024_000), same('dcgm_nvlink_bandwidth_total')],
    ['DCGM_FI_PROF_GR_ENGINE_ACTIVE', 'ratio', 0, 1.05, 'Time that the graphics or compute engine is active',
      same('DCGM_FI_PROF_GR_ENGINE_UTIL_RATIO'), same('dcgm_fi_prof_gr_engine_active')],
    ['DCGM_FI_PROF_SM_ACTIVE', 'ratio', 0, 1.05, 'Cycles that an SM has a warp',
      same('DCGM_FI_PROF_SM_UTIL_RATIO'), same('dcgm_fi_prof_sm_active')],
    ['DCGM_FI_PROF_SM_OCCUPANCY', 'ratio', 0, 1.05, 'Resident warps of those possible',
      same('DCGM_FI_PROF_SM_OCCUPANCY_RATIO'), same('dcgm_fi_prof_sm_occupancy')],
    ['DCGM_FI_PROF_PIPE_TENSOR_ACTIVE', 'ratio', 0, 1.05, 'Cycles that the tensor pipe is active',
      same('DCGM_FI_PROF_TENSOR_UTIL_RATIO'), same('dcgm_fi_prof_pipe_tensor_active')],
    ['DCGM_FI_PROF_DRAM_ACTIVE', 'ratio', 0, 1.05, 'Cycles that the memory interface is active',
      same('DCGM_FI_PROF_DRAM_UTIL_RATIO'), same('dcgm_fi_prof_dram_active')],
    ['DCGM_FI_PROF_PIPE_FP64_ACTIVE', 'ratio', 0, 1.05, 'Cycles that the fp64 pipe is active',
      same('DCGM_FI_PROF_FP64_UTIL_RATIO')],
    ['DCGM_FI_PROF_PIPE_FP32_ACTIVE', 'ratio', 0, 1.05, 'Cycles that the fp32 pipe is active',
      same('DCGM_FI_PROF_FP32_UTIL_RATIO')],
    ['DCGM_FI_PROF_PIPE_FP16_ACTIVE', 'ratio', 0, 1.05, 'Cycles that the fp16 pipe is active',
      same('DCGM_FI_PROF_FP16_UTIL_RATIO')],
    ['DCGM_FI_PROF_PCIE_TX_BYTES', 'B/s', 0, 1e13, 'PCIe bytes sent, with headers', same('dcgm_fi_prof_pcie_tx_bytes')],
    ['DCGM_FI_PROF_PCIE_RX_BYTES', 'B/s', 0, 1e13, 'PCIe bytes received, with headers',
      same('dcgm_fi_prof_pcie_rx_bytes')],
    ['DCGM_FI_PROF_NVLINK_TX_BYTES', 'B/s', 0, 1e14, 'NVLink bytes sent'],
    ['DCGM_FI_PROF_NVLINK_RX_BYTES', 'B/s', 0, 1e14, 'NVLink bytes received'],
  ],
  counter: [
    ['DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION', 'mJ', 0, Infinity, 'Energy since the driver was loaded',
      scaled('DCGM_FI_DEV_GPU_ENERGY_JOULES_TOTAL', 1000, 1), same('dcgm_total_energy_consumption')],
    ['DCGM_FI_DEV_POWER_VIOLATION', 'ns', 0, Infinity, 'Time held back by the power limit',
      scaled('DCGM_FI_DEV_GPU_POWER_THROTTLE_SECONDS_TOTAL', 1e9, 1), same('dcgm_power_violation')],
    ['DCGM_FI_DEV_THERMAL_VIOLATION', 'ns', 0, Infinity, 'Time held back by heat', same('dcgm_thermal_violation')],
    ['DCGM_FI_DEV_SYNC_BOOST_VIOLATION', 'ns', 0, Infinity, 'Time held back by sync boost',
      same('dcgm_sync_boost_violation')],
    ['DCGM_FI_DEV_BOARD_LIMIT_VIOLATION', 'ns', 0, Infinity, 'Time held back by the board limit',
      same('dcgm_board_limit_violation')],
    ['DCGM_FI_DEV_LOW_UTIL_VIOLATION', 'ns', 0, Infinity, 'Time held back for low utilisation',
      same('dcgm_low_util_violation')],
    ['DCGM_FI_DEV_RELIABILITY_VIOLATION', 'ns', 0, Infinity, 'Time held back for reliability',
      same('dcgm_reliability_violation')],
    ['DCGM_FI_DEV_TOTAL_APP_CLOCKS_VIOLATION', 'ns', 0, Infinity, 'Time below the application clocks'],
    ['DCGM_FI_DEV_TOTAL_BASE_CLOCKS_VIOLATION', 'ns', 0, Infinity, 'Time below the base clocks'],
    ['DCGM_FI_DEV_PCIE_REPLAY_COUNTER', 'replays', 0, Infinity, 'PCIe retries',
      same('DCGM_FI_DEV_PCIE_REPLAY_TOTAL'), same('dcgm_pcie_replay_counter')],
    ['DCGM_FI_DEV_ECC_SBE_VOL_TOTAL', 'errors', 0, Infinity, 'Single-bit errors since the driver was loaded',
      same('dcgm_ecc_sbe_volatile_total')],
    ['DCGM_FI_DEV_ECC_DBE_VOL_TOTAL', 'errors', 0, Infinity, 'Double-bit errors since the driver was loaded',
      same('dcgm_ecc_dbe_volatile_total')],
    ['DCGM_FI_DEV_ECC_SBE_AGG_TOTAL', 'errors', 0, Infinity, 'Single-bit errors ever',
      same('dcgm_ecc_sbe_aggregate_total')],
    ['DCGM_FI_DEV_ECC_DBE_AGG_TOTAL', 'errors', 0, Infinity, 'Double-bit errors ever',
      same('dcgm_ecc_dbe_aggregate_total')],
    ['DCGM_FI_DEV_RETIRED_SBE', 'pages', 0, Infinity, 'Pages retired for single-bit errors',
      same('DCGM_FI_DEV_PAGE_RETIRED_SBE_TOTAL'), same('dcgm_retired_pages_sbe')],
    ['DCGM_FI_DEV_RETIRED_DBE', 'pages', 0, Infinity, 'Pages retired for double-bit errors',
      same('DCGM_FI_DEV_PAGE_RETIRED_DBE_TOTAL'), same('dcgm_retired_pages_dbe')],
    ['DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS', 'rows', 0, Infinity, 'Rows remapped for uncorrectable errors',
      same('DCGM_FI_DEV_ROW_REMAP_UNCORRECTABLE_TOTAL')],
    ['DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS', 'rows', 0, Infinity, 'Rows remapped for correctable errors',
      same('DCGM_FI_DEV_ROW_REMAP_CORRECTABLE_TOTAL')],
    ['DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL', 'errors', 0, Infinity, 'NVLink flow-control CRC errors',
      same('DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_TOTAL'), same('dcgm_nvlink_flit_crc_error_count_total')],
    ['DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL', 'errors', 0, Infinity, 'NVLink data CRC errors',
      same('DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_TOTAL'), same('dcgm_nvlink_data_crc_error_count_total')],
    ['DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL', 'errors', 0, Infinity, 'NVLink replays',
      same('DCGM_FI_DEV_NVLINK_REPLAY_ERROR_TOTAL'), same('dcgm_nvlink_replay_error_count_total')],
    ['DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL', 'errors', 0, Infinity, 'NVLink recoveries',
      same('DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_TOTAL'), same('dcgm_nvlink_recovery_error_count_total')],
  ],
  state: [
    ['DCGM_FI_DEV_XID_ERRORS', 'code', 0, 65_535, 'The last XID error: never clears, a repeat is invisible',
      same('DCGM_FI_DEV_XID_ERROR'), same('dcgm_xid_errors')],
    ['DCGM_FI_DEV_PSTATE', 'code', 0, 32, 'Performance state, 0 is the highest; 32 is unknown',
      same('DCGM_FI_DEV_GPU_PSTATE')],
    ['DCGM_FI_DEV_ROW_REMAP_FAILURE', 'code', 0, 1, 'Whether remapping of rows has failed',
      same('DCGM_FI_DEV_ROW_REMAP_FAILED')],
    ['DCGM_FI_DEV_ROW_REMAP_PENDING', 'code', 0, 1, 'Whether a remapping waits for a reset'],
    ['DCGM_FI_DEV_RETIRED_PENDING', 'pages', 0, 1e6, 'Pages that wait to be retired',
      same('DCGM_FI_DEV_PAGE_RETIRED_PENDING'), same('dcgm_retired_pages_pending')],
    ['DCGM_FI_DEV_VGPU_LICENSE_STATUS', 'code', 0, 65_535, 'vGPU licence status'],
    ['DCGM_FI_DEV_FABRIC_MANAGER_STATUS', 'code', 0, 65_535, 'Status of the fabric manager'],
    ['DCGM_FI_DEV_FABRIC_HEALTH_SUMMARY', 'code', 0, 65_535, 'Health of the GPU fabric: 1 healthy, 2 not, 3 limited'],
    ['DCGM_FI_DEV_PCIE_LINK_GEN', 'code', 0, 100, 'PCIe generation of the link'],
    ['DCGM_FI_DEV_PCIE_LINK_WIDTH', 'lanes', 0, 1024, 'PCIe lanes of the link'],
    ['DCGM_FI_DEV_PCIE_MAX_LINK_GEN', 'code', 0, 100, 'PCIe generation that the link could have'],
    ['DCGM_FI_DEV_PCIE_MAX_LINK_WIDTH', 'lanes', 0, 1024, 'PCIe lanes that the link could have'],
    ['DCGM_EXP_GPU_HEALTH_STATUS', 'code', 0, 65_535, "DCGM's verdict, per health watch"],
    ['DCGM_EXP_P2P_STATUS', 'code', 0, 65_535, 'Status of the link to a peer'],
  ],
  mask: [
    ['DCGM_FI_DEV_CLOCKS_EVENT_REASONS', 'bits', 0, Number.MAX_SAFE_INTEGER, 'Why clocks are held back',
      same('DCGM_FI_DEV_CLOCK_THROTTLE_REASONS')],
    ['DCGM_FI_DEV_FABRIC_HEALTH_MASK', 'bits', 0, Number.MAX_SAFE_INTEGER, 'Health of the GPU fabric, by part'],
  ],
  event: [
    ['DCGM_EXP_XID_ERRORS_COUNT', 'events', 0, Infinity, 'XID errors in the last window, per code'],
    ['DCGM_EXP_XID_ERRORS_TOTAL', 'events', 0, Infinity, 'XID errors, per code; appears with the first one'],
    ['DCGM_EXP_CLOCK_EVENTS_COUNT', 'events', 0, Infinity, 'Clock events in the last window, per reason'],
    ['DCGM_EXP_CLOCK_EVENTS_TOTAL', 'events', 0, Infinity, 'Clock events, per reason'],
  ],
}

/** Bits of `DCGM_FI_DEV_CLOCKS_EVENT_REASONS` (`DCGM_CLOCKS_EVENT_REASON_*`). */
export const clockEventReasons: readonly { readonly bit: number; readonly reason: string }[] = [
  { bit: 0x01, reason: 'idle' },
  { bit: 0x02, reason: 'application clocks' },
  { bit: 0x04, reason: 'software power cap' },
  { bit: 0x08, reason: 'hardware slowdown' },
  { bit: 0x10, reason: 'sync boost' },
  { bit: 0x20, reason: 'software thermal' },
  { bit: 0x40, reason: 'hardware thermal' },
  { bit: 0x80, reason: 'power brake' },
  { bit: 0x100, reason: 'display' },
]

/** Every metric of the catalogue. */
export const catalogue: readonly Metric[] = Object.entries(table).flatMap(([kind, rows]) =>
  rows.map(([name, unit, min, max, help, ...aliases]): Metric => {
    const metricKind = kind as MetricKind
    const blankFrom = metricKind === 'counter' || metricKind === 'event' ? Infinity : fp64Blank
    return { name, kind: metricKind, unit, min, max, help, aliases, functions: functionsOf[metricKind], blankFrom }
  }),
)

const known = new Map<string, KnownName>()
for (const metric of catalogue) {
  known.set(metric.name, { metric, isCanonical: true, toCanonical: (value) => value })
  for (const { name, times, over, rescaleMax } of metric.aliases) {
    known.set(name, {
      metric,
      isCanonical: false,
      toCanonical: (value) => (value > rescaleMax ? value : (value * times) / over),
    })
  }
}
