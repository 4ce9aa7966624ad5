import { test } from 'tap'

import { Problem } from '#wire/problems'

import { sumOf, type Counted } from './account.ts'
import { lasting, profiles, scenariosOf, secondsOf, thresholdsOf, works, type Work } from './profiles.ts'
import { outcomeOf } from './outcome.ts'
import { htmlOf, isGood, lineOf, markdownOf, type Run } from './report.ts'
import type { Audit } from './stack.ts'

const counted: Counted = { offered: 100, acknowledged: 100, refused: 0, unanswered: 0, consumed: 90 }

function audit(
  counts: Partial<Audit['topics'][number]['counts']>,
  rest: { produced?: number; pending?: number } = {},
): Audit {
  const { produced = 100, pending = 0 } = rest
  const all = { received: produced, stored: 100, duplicate: 0, not_reported: 0, dead: 0, ...counts }
  return { topics: [{ topic: 'telemetry', produced, pending, removed: 0, counts: all }], findings: [] }
}

function runOf(sum: Run['sum'], crossed = false): Run {
  const thresholds = { 'p(95)<1500': crossed }
  return {
    name: 'smoke',
    profile: profiles.smoke,
    chosen: ['single_proxy'],
    startedAt: '2026-01-01T00:00:00Z',
    machine: 'a machine & <its> core',
    summary: {
      metrics: {
        'http_req_duration{work:single_proxy}': { med: 1.25, 'p(95)': 2, 'p(99)': 3, max: 4, thresholds },
        'requests_refused{work:single_proxy}': { passes: 5, fails: 95, value: 0.05 },
      },
    },
    sum,
  }
}

test('a run is right when each acknowledged record is a row of the store, and each row was acknowledged', async (t) => {
  t.match(sumOf(counted, audit({})), { lost: 0, stored: 100, findings: [] })
  const wrong: [string, Counted, Audit, RegExp][] = [
    ['lost', counted, audit({ stored: 97 }), /^3 acknowledged records are lost$/],
    ['pending', counted, audit({ stored: 60 }, { pending: 40 }), /^40 records were not stored in time$/],
    ['dead', counted, audit({ stored: 99, dead: 1 }), /^1 records are dead letters$/],
    [
      'twice',
      counted,
      audit({ duplicate: 2 }, { produced: 102 }),
      /2 records stand in the log twice.*\n.*2 records more/,
    ],
    [
      'extra',
      counted,
      audit({ stored: 105 }, { produced: 105 }),
      /the logs have 5 records more than were acknowledged/,
    ],
    ['pulled', { ...counted, consumed: 101 }, audit({}), /101 records were pulled of 100/],
    ['told', counted, { ...audit({}), findings: ['rows differ'] }, /^rows differ$/],
    ['nothing', counted, { topics: [], findings: [] }, /^100 acknowledged records are lost\n/],
  ]
  for (const [what, given, told, finding] of wrong) t.match(sumOf(given, told).findings.join('\n'), finding, what)
  t.match(
    sumOf(counted, audit({}), ['the broker 0 ended (SIGKILL): …']).findings,
    [/broker 0 ended/],
    'a role that is no more',
  )
  const cut = { ...counted, acknowledged: 95, unanswered: 5 }
  t.strictSame(sumOf(cut, audit({})).findings, [], 'what got no answer may be there')
})

test('the report says what was measured and what did not hold, as Markdown and as HTML', async (t) => {
  const good = runOf(sumOf(counted, audit({})))
  t.ok(isGood(good))
  t.match(markdownOf(good), /^# Load test: smoke\n\n\*\*passed: acknowledged 100, stored 100, lost 0 \(/)
  t.match(markdownOf(good), /\| single_proxy \| 0 \| 5 \| 1\.3 \| 2\.0 \| 3\.0 \| 4\.0 \|/)
  t.match(htmlOf(good), /a machine &amp; &lt;its&gt; core/)
  t.equal(lineOf(good.sum).includes('lost 0'), true)
  const slow = runOf(good.sum, true)
  t.notOk(isGood(slow))
  t.match(markdownOf(slow), /FAILED: threshold http_req_duration\{work:single_proxy\}: p\(95\)<1500/)
  const lossy = runOf(sumOf(counted, audit({ stored: 97 })))
  t.notOk(isGood(lossy))
  t.match(htmlOf(lossy), /FAILED: 3 acknowledged records are lost/)
})

test('a refusal that says when to come again is no failure, and nothing else is a refusal', async (t) => {
  const problem = (code: 'overloaded' | 'unavailable') => JSON.stringify(new Problem(code, 'x'))
  t.equal(outcomeOf(200, undefined, null), 'done')
  t.equal(outcomeOf(503, '1', problem('overloaded')), 'refused')
  t.equal(outcomeOf(429, '1', null), 'refused')
  const failures = [
    outcomeOf(503, '1', problem('unavailable')),
    outcomeOf(503, undefined, problem('overloaded')),
    outcomeOf(503, '1', '<html>'),
    outcomeOf(503, '1', 'null'),
    outcomeOf(429, undefined, ''),
    outcomeOf(507, '1', ''),
    outcomeOf(0, undefined, null),
  ]
  t.ok(failures.every((each) => each === 'failed'))
})

test('every profile lasts what it says, and holds each work to bounds', async (t) => {
  const all = Object.keys(works) as Work[]
  for (const [name, profile] of Object.entries(profiles)) {
    const scenarios = scenariosOf(profile, all)
    t.strictSame(Object.keys(scenarios), all, name)
    t.strictSame(lasting(profile, secondsOf(profile)), profile, 'the time that it has changes nothing')
    for (const seconds of [profile.stages.length, 60, secondsOf(profile) * 2 + 1]) {
      const { stages } = lasting(profile, seconds)
      t.equal(
        stages.reduce((sum, stage) => sum + stage.seconds, 0),
        seconds,
        `${name} in ${seconds} s`,
      )
      t.ok(stages.every((stage) => stage.seconds >= 1))
    }
    const thresholds = thresholdsOf(profile, all)
    t.match(thresholds, { requests_failed: [`rate<=${profile.failedMax}`] })
    t.notOk('http_req_failed' in thresholds, 'it counts refusals')
    for (const work of all) {
      t.equal(thresholds[`http_req_duration{work:${work}}`]?.length, 2)
      t.match(thresholds[`requests_refused{work:${work}}`], [`rate<=${profile.refusedMax}`])
    }
  }
})
