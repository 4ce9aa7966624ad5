/** Pull through the proxy: the brokers are asked one after the other, until there are records or the time is over. */

import { setTimeout as sleep } from 'node:timers/promises'

import type { Clock } from '#lib/clock'
import type { Answer, Request } from '#lib/http/http'
import { query, readQuery } from '#lib/http/query'
import { Problem } from '#wire/problems'
import { linesType, pullLimits } from '#wire/pull'

import { problemOf } from './broadcast.ts'
import { headersOf, isBehind, nameOf, problemCode, type Gateway } from './forward.ts'
import type { Member } from './members.ts'
import type { Answered } from './answer.ts'

/** Between two rounds of questions, when no broker has anything. */
const pauseMs = 100

let turn = 0

/** Answers with the records of the first brokers that have any. Each pull begins with another broker. */
export async function forwardPull(gateway: Gateway, request: Request, clock: Clock): Promise<Answer> {
  nameOf(request, 'topic')
  nameOf(request, 'group')
  const limits = new URLSearchParams([...request.query].filter(([name]) => name === 'max' || name === 'wait_ms'))
  const { max = pullLimits.recordsUsual, wait_ms: waitMs = 0 } = readQuery(
    { ...request, query: limits },
    {
      max: query.integer({ min: 0, max: pullLimits.recordsMax }),
      wait_ms: query.integer({ min: 0, max: pullLimits.waitMsMax }),
    },
  )
  const untilMs = clock.monotonicMs() + waitMs
  for (;;) {
    const lines = await askAll(gateway, request, max)
    if (lines !== '' || clock.monotonicMs() >= untilMs || request.closed.aborted) {
      return { type: linesType, bytes: lines }
    }
    await sleep(Math.min(pauseMs, Math.max(1, untilMs - clock.monotonicMs())))
  }
}

async function askAll(gateway: Gateway, request: Request, max: number): Promise<string> {
  const { all } = gateway.cluster.members
  const topic = nameOf(request, 'topic')
  turn = (turn + 1) % Math.max(1, all.length)
  const members = [...all.slice(turn), ...all.slice(0, turn)]
  let lines = ''
  let room = max
  let silent = 0
  for (const [at, member] of members.entries()) {
    if (room <= 0) {
      // The group is one on all brokers: where nothing is asked for it is made all the same.
      await Promise.all(members.slice(at).map((each) => ask(gateway, request, each, 0)))
      break
    }
    const answer = await ask(gateway, request, member, room)
    if (answer === undefined || answer.status >= 500 || isBehind(gateway.cluster, topic, problemCode(answer))) {
      silent++
      continue
    }
    // What others gave is in flight already: it must reach the caller.
    if (answer.status !== 200 && lines === '') throw problemOf(answer)
    if (answer.status !== 200) continue
    const text = answer.body.toString('utf8')
    lines += text
    room -= text.split('\n').length - 1
  }
  if (silent === members.length) {
    throw new Problem('unavailable', 'no broker answers now', { retry_after_s: gateway.retryAfterS })
  }
  return lines
}

/** What one broker answers at once; `undefined` when it does not. */
async function ask(gateway: Gateway, request: Request, member: Member, max: number): Promise<Answered | undefined> {
  // One that hangs would keep every pull waiting.
  if (member.state === 'down') return undefined
  const asked = new URLSearchParams(request.query)
  asked.set('max', String(max))
  asked.set('wait_ms', '0')
  const path = `/consume?${asked.toString()}`
  return gateway
    .upstream(member)
    .request('GET', path, { headers: headersOf(request) })
    .catch(() => undefined)
}
