/** Parquet, by hyparquet-writer. Times are timestamps in nanoseconds, maps and lists are JSON; units stand in the metadata. */

import { parquetWriteBuffer } from 'hyparquet-writer'
import { epochNs, parseTime } from '#telemetry/time'
import type { Column, ColumnType, Table } from './table.ts'

type Options = Parameters<typeof parquetWriteBuffer>[0]
type Element = NonNullable<Options['schema']>[number]

const elementOf: Readonly<Record<ColumnType, Omit<Element, 'name'>>> = {
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  time: { type: 'INT64', logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'NANOS' } },
  number: { type: 'DOUBLE' },
  integer: { type: 'INT64' },
  boolean: { type: 'BOOLEAN' },
  json: { type: 'BYTE_ARRAY', converted_type: 'JSON' },
}

export function parquetOf({ columns, rows }: Table): Buffer {
  const units = columns.flatMap(({ name, unit }) => (unit === undefined ? [] : [[name, unit] as const]))
  const buffer = parquetWriteBuffer({
    schema: [
      { name: 'root', num_children: columns.length },
      ...columns.map(({ name, type }): Element => ({ name, repetition_type: 'OPTIONAL', ...elementOf[type] })),
    ],
    columnData: columns.map((column) => ({
      name: column.name,
      data: rows.map((row) => cell(column, column.read(row))),
    })),
    kvMetadata: units.length === 0 ? [] : [{ key: 'units', value: JSON.stringify(Object.fromEntries(units)) }],
    createdBy: 'penstock',
  })
  return Buffer.from(buffer)
}

function cell({ type }: Column, value: unknown): unknown {
  if (value === null || value === undefined) return undefined
  if (type === 'integer') return BigInt(value as number)
  if (type !== 'time') return value
  const instant = parseTime(value as string)
  return instant === undefined ? undefined : epochNs(instant)
}
