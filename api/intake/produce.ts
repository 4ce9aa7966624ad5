/** `POST /telemetry`: the body's records, to the partitions that their keys name, answered when all are acknowledged. */

import { Problem } from '#wire/problems'
import { at } from '../ask/parameters.ts'
import type { Handler } from '../call.ts'
import { intakeOf } from './intake.ts'
import type { Sender, Sent } from './sender.ts'

/** @param topic what the sender sends to */
export function telemetryHandler(sender: Sender, topic: string): Handler<'postTelemetry'> {
  return async ({ body, lines, nowMs, signal, bounds }) => {
    bounds.needTopic(topic)
    const inputs = Array.isArray(body) ? body : [body]
    const lineOf = (index: number) => lines?.[index] ?? index + 1
    const intakes = inputs.map((input, index) => {
      const intake = intakeOf(input, nowMs)
      const line = lineOf(index)
      const isOne = lines === undefined && !Array.isArray(body)
      const where = isOne ? '' : lines === undefined ? `record ${line} of ${inputs.length}: ` : `line ${line}: `
      if ('refused' in intake) throw new Problem('bad_record', `${where}${intake.refused}`, { line })
      bounds.needRecord(intake.record, where)
      return intake
    })
    const sent = await sender.send(intakes, nowMs, signal)
    if (sent.failure === undefined) return { as_of: at(nowMs), accepted: sent.ids.length, ids: sent.ids as string[] }
    throw refusal(sent, lineOf, nowMs)
  }
}

/** What failed, and what was taken all the same. */
function refusal({ ids, failure }: Sent, lineOf: (index: number) => number, nowMs: number): unknown {
  if (!(failure instanceof Problem)) return failure
  const accepted = ids.filter((id) => id !== null).length
  const { line } = failure.extra
  const extra = {
    ...failure.extra,
    ...(typeof line === 'number' ? { line: lineOf(line - 1) } : {}),
    accepted,
    ids,
    // Who sends a record without a time again, and must not make two points of it, sends this one with it.
    as_of: at(nowMs),
  }
  const { detail } = failure.toJSON()
  if (accepted === 0) return new Problem(failure.code, detail, extra)
  const told = `${accepted} of ${ids.length} records were taken, those with an id in ids; send the others again: ${detail}`
  return new Problem(failure.code, told, extra)
}
