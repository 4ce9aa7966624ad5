/** What is written wherever brokers are compared. */

/** Records of one batch, and bytes of one record, of the load that brokers are compared by. */
export const batchRecords = 500
export const recordBytes = 200

/** A body of a produce request: so many records of so many bytes, a line each. */
export function bodyOf(records: number, bytes: number): Buffer {
  const line = `{"kind":"gpu","value":${'7'.repeat(12)},"x":"`
  return Buffer.from(Array.from({ length: records }, () => `${line.padEnd(bytes - 2, 'x')}"}\n`).join(''))
}
