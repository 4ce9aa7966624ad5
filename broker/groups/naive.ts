/**
 * A group as one would write it without a thought for speed: a state a record. The tests hold the real one against it, step by
 * step.
 */

import type { Offset } from '#wire/ids'

import type { GroupKind, Work } from './group.ts'
import type { Member } from './sharing.ts'

interface NaiveRecord {
  is: 'unsent' | 'in flight' | 'acknowledged' | 'to be sent again' | 'exhausted'
  /** Who has it, while it is in flight. */
  member: Member | undefined
  deadlineMs: number
  /** When it may be sent again. */
  dueMs: number
  attempts: number
  /** First deliveries come in order: whether it had one. */
  wasSent: boolean
  /** It comes again on its own: it was given back, or others of its lease stay where they are. */
  isAside: boolean
}

export class NaiveGroup {
  readonly #kind: GroupKind
  readonly #logs: NaiveRecord[][]

  constructor(kind: GroupKind, records: readonly number[]) {
    this.#kind = kind
    this.#logs = records.map((count) => Array.from({ length: count }, newRecord))
  }

  append(partition: number, count: number): void {
    for (let at = 0; at < count; at++) this.#logs[partition]?.push(newRecord())
  }

  /** What is wrong with these records being sent now; `undefined` when nothing is. */
  send(member: Member, { partition, from, attempt }: Work, next: Offset, nowMs: number): string | undefined {
    const log = this.#log(partition)
    const inFlight = this.#inFlight(member)
    for (let at: number = from; at < next; at++) {
      const record = log[at]
      const wrong = whyNot(record, attempt, nowMs)
      if (record === undefined || wrong !== undefined) return `${partition}/${at}: ${wrong}`
      if (this.#kind.mode === 'exclusive' && !record.wasSent && log.slice(0, at).some((each) => !each.wasSent))
        return `${partition}/${at} is sent before one below it`
      if (this.#kind.mode === 'shared' && inFlight.length + (at - from) >= member.maxInFlight)
        return `${partition}/${at} is more than the member may have in flight`
      Object.assign(record, {
        is: 'in flight',
        member,
        deadlineMs: nowMs + member.visibilityMs,
        wasSent: true,
      })
    }
    const isLast = (record: NaiveRecord): boolean => record.attempts > 1 && record.attempts >= this.#kind.attemptsMax
    const sent = log.slice(from, next)
    if (inFlight.some(isLast) || (sent.some(isLast) && inFlight.length + sent.length > 1))
      return 'a record that is sent for the last time is not alone'
    if (this.#kind.mode === 'exclusive') this.#renew(log, nowMs)
    return undefined
  }

  acknowledge(partition: number, from: number, to: number, nowMs: number): void {
    const log = this.#log(partition)
    for (const record of log.slice(from, to)) if (record.is === 'in flight') record.is = 'acknowledged'
    if (this.#kind.mode === 'exclusive') this.#renew(log, nowMs)
  }

  /** A record was given up, and written elsewhere. */
  bury(partition: number, offset: number): void {
    ;(this.#log(partition)[offset] as NaiveRecord).is = 'acknowledged'
  }

  giveBack(partition: number, offset: number, dueMs: number, nowMs: number): void {
    const log = this.#log(partition)
    const record = log[offset] as NaiveRecord
    if (record.is === 'in flight') this.#again(record, true, dueMs, true)
    if (this.#kind.mode === 'exclusive') this.#renew(log, nowMs)
  }

  extend(partition: number, offset: number, nowMs: number): void {
    const log = this.#log(partition)
    if (this.#kind.mode === 'exclusive') return this.#renew(log, nowMs)
    const record = log[offset] as NaiveRecord
    if (record.is === 'in flight') record.deadlineMs = nowMs + (record.member as Member).visibilityMs
  }

  leave(member: Member): void {
    for (const log of this.#logs)
      this.#lose(log.filter((record) => record.is === 'in flight' && record.member === member))
  }

  tick(nowMs: number): void {
    for (const log of this.#logs) {
      const late = log.filter((record) => record.is === 'in flight' && record.deadlineMs <= nowMs)
      for (const member of new Set(late.map((record) => record.member))) {
        this.#lose(late.filter((record) => record.member === member))
      }
    }
  }

  /** What `/status` says of a log. */
  figures(partition: number): { floor: number; lag: number; inFlight: number; givenBack: number } {
    const log = this.#log(partition)
    const floor = log.findIndex((record) => record.is !== 'acknowledged')
    return {
      floor: floor === -1 ? log.length : floor,
      lag: log.filter((record) => record.is !== 'acknowledged').length,
      inFlight: log.filter((record) => record.is === 'in flight').length,
      givenBack: log.filter(({ is, isAside }) => is === 'exhausted' || (is === 'to be sent again' && isAside)).length,
    }
  }

  exhausted(partition: number): number[] {
    return this.#log(partition).flatMap((record, offset) => (record.is === 'exhausted' ? [offset] : []))
  }

  #log(partition: number): NaiveRecord[] {
    return this.#logs[partition] as NaiveRecord[]
  }

  #inFlight(member: Member): NaiveRecord[] {
    return this.#logs.flat().filter((record) => record.is === 'in flight' && record.member === member)
  }

  #renew(log: readonly NaiveRecord[], nowMs: number): void {
    for (const record of log) {
      if (record.is === 'in flight') record.deadlineMs = nowMs + (record.member as Member).visibilityMs
    }
  }

  /** It counts for the lowest. */
  #lose(records: readonly NaiveRecord[]): void {
    for (const [at, record] of records.entries()) this.#again(record, at === 0, 0, this.#kind.mode === 'shared')
  }

  #again(record: NaiveRecord, counts: boolean, dueMs: number, isAside: boolean): void {
    const isOver = counts && record.attempts >= this.#kind.attemptsMax
    record.is = isOver ? 'exhausted' : 'to be sent again'
    record.dueMs = dueMs
    record.isAside = isAside
    if (counts && !isOver) record.attempts++
  }
}

function newRecord(): NaiveRecord {
  return { is: 'unsent', member: undefined, deadlineMs: 0, dueMs: 0, attempts: 1, wasSent: false, isAside: false }
}

function whyNot(record: NaiveRecord | undefined, attempt: number | undefined, nowMs: number): string | undefined {
  if (record === undefined) return 'there is no such record'
  if (record.is !== 'unsent' && record.is !== 'to be sent again') return `it is ${record.is}`
  if (record.is === 'to be sent again' && record.dueMs > nowMs) return 'its time has not come'
  if (record.is === 'unsent' && attempt !== undefined) return 'it was never sent'
  if (record.is === 'to be sent again' && attempt !== record.attempts)
    return `it is attempt ${record.attempts}, not ${attempt}`
  return undefined
}
