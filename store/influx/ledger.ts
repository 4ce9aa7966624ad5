/**
 * The ledger: what became of the records of each log. Several collectors write to one InfluxDB, and it has no transactions,
 * so a write says beforehand what it is about to do: its *intent*, the outcome of each record by offset. Then it writes the
 * points, then the account with the intent settled; only then does the collector acknowledge. After a crash in between, the
 * same records are delivered again, and what is theirs in the intent says how they count: a point that is there already is
 * no duplicate of itself.
 */

import { type BatchPart, type Counts, addCounts, type LedgerRow, noCounts } from '../store.ts'
import { type Cell, oneOf, quoted, rowsOf, where } from './influxql.ts'
import { headOf, stringField, tagText, textOfTag } from './lines.ts'
import { Outcomes, type Outcome } from './outcomes.ts'
import type { Server } from './server.ts'

/** The account of a log, as it stands in the database. */
export interface Account {
  readonly row: LedgerRow
  /** What a write that was not settled was about to do, from `row.next` on. */
  readonly intent: Outcomes
  /** Who wrote it, of the collectors. */
  readonly writer: string
  /** How often it was written. */
  readonly version: number
}

/** @param logIds those of interest; left out: all, of all topics */
export async function readAccounts(
  server: Server,
  database: string,
  topic?: string,
  logIds: readonly string[] = [],
): Promise<Account[]> {
  const ofTopic = topic === undefined ? undefined : `topic = ${quoted(tagText(topic))}`
  const which = where(ofTopic, oneOf('log_id', logIds.map(tagText)))
  const [series = []] = await server.query(database, [
    `SELECT * FROM ledger${which} GROUP BY topic, log_id ORDER BY time DESC LIMIT 1`,
  ])
  const accounts = series.map((one) => {
    const [cells = {}] = rowsOf(one)
    const number = (name: string): number => Number(cells[name] ?? 0)
    const row = Object.fromEntries(numbers.map((name) => [name, number(name)])) as Omit<LedgerRow, 'topic' | 'log_id'>
    return {
      row: { topic: text(one.tags['topic']), log_id: text(one.tags['log_id']), ...row },
      intent: Outcomes.decode(String(cells['intent'] ?? '')),
      writer: String(cells['writer'] ?? ''),
      version: number('version'),
    }
  })
  const order = ({ row: a }: Account, { row: b }: Account): number =>
    compare(a.topic, b.topic) || a.partition - b.partition || a.broker - b.broker || compare(a.log_id, b.log_id)
  return accounts.sort(order)
}

const numbers = [
  'broker',
  'partition',
  'next',
  'received',
  'stored',
  'duplicate',
  'not_reported',
  'dead',
] as const satisfies (keyof LedgerRow)[]

function text(content: Cell | undefined): string {
  return textOfTag(String(content ?? '')) ?? ''
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** @param overwrites whether the server lets a point take the place of another; else each has a time of its own */
export function accountLine({ row, intent, writer, version }: Account, overwrites: boolean): string {
  const head = headOf('ledger', { topic: tagText(row.topic), log_id: tagText(row.log_id) })
  const fields = [
    ...numbers.map((name) => `${name}=${row[name]}i`),
    `intent=${stringField(intent.encode())}`,
    `writer=${stringField(writer)}`,
    `version=${version}i`,
  ]
  return `${head} ${fields.join()} ${overwrites ? 0 : version}`
}

/** One log in one write: what its account is before the points are written, and what it is after. */
export class Draft {
  readonly #before: Account
  #outcomes = new Outcomes()
  #end: number

  constructor(before: Account) {
    this.#before = before
    this.#end = before.row.next
  }

  /** @param outcomeOf by the place of a record in the part */
  add(part: BatchPart, outcomeOf: (index: number) => Outcome): void {
    const { offsets, dead } = part
    const settled = this.#end
    let nextDead = 0
    const bury = (before: number): void => {
      for (; nextDead < dead.length && (dead[nextDead] as number) < before; nextDead++) {
        const offset = dead[nextDead] as number
        if (offset >= settled) this.#outcomes.push(offset, 'x')
      }
    }
    for (const [index, offset] of offsets.entries()) {
      bury(offset)
      if (offset >= settled) this.#outcomes.push(offset, this.#before.intent.at(offset) ?? outcomeOf(index))
    }
    bury(Infinity)
    this.#end = Math.max(this.#end, part.next)
  }

  get counts(): Counts {
    return this.#outcomes.counts()
  }

  /** What a write that was cut off had left behind this one's end stays: those records come again, too. */
  get #rest(): Outcomes {
    return this.#before.intent.between(this.#end, Infinity)
  }

  /** The account with the intent of this write. */
  intended(writer: string): Account {
    const { row, version } = this.#before
    return { row, intent: this.#outcomes.with(this.#rest), writer, version: version + 1 }
  }

  settled(writer: string): Account {
    const { row, version } = this.#before
    const sum = { ...row, ...addCounts(row, this.counts), next: this.#end }
    return { row: sum, intent: this.#rest, writer, version: version + 2 }
  }
}

/** The account of a log that nothing was written of. */
export function newAccount(topic: string, { logId, broker, partition }: BatchPart): Account {
  const row = { topic, log_id: logId, broker, partition, next: 0, ...noCounts }
  return { row, intent: new Outcomes(), writer: '', version: 0 }
}
