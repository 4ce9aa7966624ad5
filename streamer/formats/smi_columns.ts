/**
 * The columns of `nvidia-smi --query-gpu=… --format=csv`, and which metric each is.
 *
 * Sources: `nvidia-smi --help-query-gpu` (and `--help-query-remapped-rows`) for the names and what they mean, the names that
 * nvidia-smi itself writes into its header (`clocks.current.sm [MHz]` also where `clocks.sm` was asked for); DCGM's
 * `dcgm_fields.h` and dcgm-exporter's `default-counters.csv` for the fields that are the same reading of NVML. A column that
 * they do not show to be a field of DCGM is a metric under a name of its own.
 */

/** How the text of a value is read: a number; a bit mask, as hexadecimal; `P8`; or whatever it turns out to be. */
export type SmiReading = 'number' | 'mask' | 'pstate' | 'any'

export interface SmiMetric {
  readonly at: number
  readonly metric: string
  /** As the header has it; it may stand behind the number. */
  readonly unit: string
  readonly reading: SmiReading
  /** As it stands, for messages. */
  readonly column: string
  /** The name of the label that its text becomes when it is neither a number nor a state. */
  readonly label: string
}

export interface SmiColumns {
  readonly fields: number
  readonly time: number
  readonly uuid: number
  readonly index: number | undefined
  readonly model: number | undefined
  readonly labels: readonly { readonly name: string; readonly at: number }[]
  readonly metrics: readonly SmiMetric[]
}

type Known = readonly [metric: string, unit: string, reading?: SmiReading]

// prettier-ignore
const known: ReadonlyMap<string, Known> = new Map<string, Known>([
  ['utilization.gpu', ['DCGM_FI_DEV_GPU_UTIL', '%']],
  ['utilization.memory', ['DCGM_FI_DEV_MEM_COPY_UTIL', '%']],
  ['utilization.encoder', ['DCGM_FI_DEV_ENC_UTIL', '%']],
  ['utilization.decoder', ['DCGM_FI_DEV_DEC_UTIL', '%']],
  ['memory.total', ['DCGM_FI_DEV_FB_TOTAL', 'MiB']],
  ['memory.reserved', ['DCGM_FI_DEV_FB_RESERVED', 'MiB']],
  ['memory.used', ['DCGM_FI_DEV_FB_USED', 'MiB']],
  ['memory.free', ['DCGM_FI_DEV_FB_FREE', 'MiB']],
  ['temperature.gpu', ['DCGM_FI_DEV_GPU_TEMP', '']],
  ['temperature.memory', ['DCGM_FI_DEV_MEMORY_TEMP', '']],
  ['temperature.gpu.tlimit', ['DCGM_FI_DEV_GPU_TEMP_LIMIT', '']],
  ['power.draw', ['DCGM_FI_DEV_POWER_USAGE', 'W']],
  ['power.draw.instant', ['DCGM_FI_DEV_POWER_USAGE_INSTANT', 'W']],
  ['power.limit', ['DCGM_FI_DEV_POWER_MGMT_LIMIT', 'W']],
  ['power.min_limit', ['DCGM_FI_DEV_POWER_MGMT_LIMIT_MIN', 'W']],
  ['power.max_limit', ['DCGM_FI_DEV_POWER_MGMT_LIMIT_MAX', 'W']],
  ['power.default_limit', ['DCGM_FI_DEV_POWER_MGMT_LIMIT_DEF', 'W']],
  ['enforced.power.limit', ['DCGM_FI_DEV_ENFORCED_POWER_LIMIT', 'W']],
  ['clocks.current.sm', ['DCGM_FI_DEV_SM_CLOCK', 'MHz']],
  ['clocks.sm', ['DCGM_FI_DEV_SM_CLOCK', 'MHz']],
  ['clocks.current.memory', ['DCGM_FI_DEV_MEM_CLOCK', 'MHz']],
  ['clocks.mem', ['DCGM_FI_DEV_MEM_CLOCK', 'MHz']],
  ['clocks.current.video', ['DCGM_FI_DEV_VIDEO_CLOCK', 'MHz']],
  ['clocks.video', ['DCGM_FI_DEV_VIDEO_CLOCK', 'MHz']],
  ['clocks.applications.memory', ['DCGM_FI_DEV_APP_MEM_CLOCK', 'MHz']],
  ['clocks.applications.mem', ['DCGM_FI_DEV_APP_MEM_CLOCK', 'MHz']],
  ['clocks.max.sm', ['DCGM_FI_DEV_MAX_SM_CLOCK', 'MHz']],
  ['clocks.max.memory', ['DCGM_FI_DEV_MAX_MEM_CLOCK', 'MHz']],
  ['clocks.max.mem', ['DCGM_FI_DEV_MAX_MEM_CLOCK', 'MHz']],
  ['fan.speed', ['DCGM_FI_DEV_FAN_SPEED', '%']],
  ['pstate', ['DCGM_FI_DEV_PSTATE', '', 'pstate']],
  ['clocks_event_reasons.active', ['DCGM_FI_DEV_CLOCKS_EVENT_REASONS', '', 'mask']],
  ['clocks_throttle_reasons.active', ['DCGM_FI_DEV_CLOCKS_EVENT_REASONS', '', 'mask']],
  ['pcie.link.gen.current', ['DCGM_FI_DEV_PCIE_LINK_GEN', '']],
  ['pcie.link.gen.gpucurrent', ['DCGM_FI_DEV_PCIE_LINK_GEN', '']],
  ['pcie.link.gen.max', ['DCGM_FI_DEV_PCIE_MAX_LINK_GEN', '']],
  ['pcie.link.width.current', ['DCGM_FI_DEV_PCIE_LINK_WIDTH', '']],
  ['pcie.link.width.max', ['DCGM_FI_DEV_PCIE_MAX_LINK_WIDTH', '']],
  ['ecc.errors.corrected.volatile.total', ['DCGM_FI_DEV_ECC_SBE_VOL_TOTAL', '']],
  ['ecc.errors.uncorrected.volatile.total', ['DCGM_FI_DEV_ECC_DBE_VOL_TOTAL', '']],
  ['ecc.errors.corrected.aggregate.total', ['DCGM_FI_DEV_ECC_SBE_AGG_TOTAL', '']],
  ['ecc.errors.uncorrected.aggregate.total', ['DCGM_FI_DEV_ECC_DBE_AGG_TOTAL', '']],
  ['retired_pages.single_bit_ecc.count', ['DCGM_FI_DEV_RETIRED_SBE', '']],
  ['retired_pages.sbe', ['DCGM_FI_DEV_RETIRED_SBE', '']],
  ['retired_pages.double_bit.count', ['DCGM_FI_DEV_RETIRED_DBE', '']],
  ['retired_pages.dbe', ['DCGM_FI_DEV_RETIRED_DBE', '']],
  ['remapped_rows.correctable', ['DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS', '']],
  ['remapped_rows.uncorrectable', ['DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS', '']],
])

/** Columns that describe the GPU: labels of its records, even where they hold a number. */
const described =
  /^(driver_version|serial|gpu_serial|vbios_version|compute_cap|compute_mode|gpu_bus_id|gpu_part_number|board_id|(pci|inforom|driver_model)\..*)$/

/** A name and, in brackets, its unit. */
const headed = /^([^[\]]*[^[\] ]) *(?:\[([^[\]]*)\])?$/

/** What a row has, and a header has not: a time as nvidia-smi writes it, or a UUID. */
const rowCell = /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d|^(GPU|MIG)-[0-9a-f]{8}-/i

/**
 * Finds the columns in a header.
 *
 * @returns `undefined` when it is none of nvidia-smi's; the reason when it is one, and no records can be made of its rows
 */
export function smiColumns(header: readonly string[]): SmiColumns | { readonly refused: string } | undefined {
  if (header.some((cell) => rowCell.test(cell.trim()))) {
    return { refused: 'the first line is a row and no header: leave noheader out of --format (want --format=csv)' }
  }
  const cells = header.map((cell, at) => {
    const [, name = '', unit = ''] = headed.exec(cell.trim()) ?? []
    return { at, name: name.toLowerCase(), unit, column: cell.trim() }
  })
  const isSmi = cells.some(({ name, unit }) => known.has(name) || unit !== '' || name.startsWith('clocks'))
  const find = (...names: string[]): number | undefined => cells.find(({ name }) => names.includes(name))?.at
  const time = find('timestamp')
  const uuid = find('uuid', 'gpu_uuid')
  if (!isSmi || (time === undefined && uuid === undefined && find('index', 'name') === undefined)) return undefined
  if (find('pid') !== undefined)
    return { refused: 'these are processes (nvidia-smi --query-compute-apps): want the rows of --query-gpu' }
  if (time === undefined || uuid === undefined) {
    const missing = [...(time === undefined ? ['timestamp'] : []), ...(uuid === undefined ? ['uuid'] : [])].join(
      ' and ',
    )
    return { refused: `nvidia-smi wrote no ${missing}: want --query-gpu=timestamp,index,uuid,name,utilization.gpu,…` }
  }
  const index = find('index')
  const model = find('name', 'gpu_name')
  const labels: { name: string; at: number }[] = []
  const metrics: SmiMetric[] = []
  const taken = new Set<string>()
  for (const { at, name, unit, column } of cells) {
    if (name === '' || [time, uuid, index, model].includes(at)) continue
    if (described.test(name)) {
      labels.push({ name: labelOf(name), at })
      continue
    }
    const row = known.get(name)
    // In another unit it is another number.
    const isKnown = row !== undefined && row[1] === unit
    const metric = isKnown ? row[0] : ownName(name, unit)
    // A field that was asked for twice, by one name or two, is one.
    if (taken.has(metric)) continue
    taken.add(metric)
    metrics.push({ at, metric, unit, reading: isKnown ? (row[2] ?? 'number') : 'any', column, label: labelOf(name) })
  }
  if (metrics.length === 0)
    return { refused: 'nvidia-smi was asked for no value: want --query-gpu=…,utilization.gpu,…' }
  return { fields: header.length, time, uuid, index, model, labels, metrics }
}

function labelOf(name: string): string {
  return name.replaceAll(/[^a-z0-9]+/g, '_')
}

/** `clocks.current.graphics [MHz]` is `NVIDIA_SMI_CLOCKS_CURRENT_GRAPHICS_MHZ`: with its unit, which nothing else would tell. */
function ownName(name: string, unit: string): string {
  const suffix = unit === '' ? '' : `_${unit.replaceAll('%', 'percent')}`
  return `NVIDIA_SMI_${name}${suffix}`.replaceAll(/[^A-Za-z0-9]+/g, '_').toUpperCase()
}
