import { test } from 'tap'
import { Problem, problems, type ProblemCode } from './problems.ts'

const codes = Object.keys(problems) as ProblemCode[]

test('every code has a row that a person and a program can use', (t) => {
  const complaints: string[] = []
  for (const code of codes) {
    const { status, retry, title, hint } = problems[code]
    if (!/^[a-z]+(_[a-z]+)*$/.test(code)) complaints.push(`${code}: want a_name_like_this`)
    if (!Number.isInteger(status) || status < 400 || status > 599) complaints.push(`${code}: status ${status}`)
    // These say "not now": what a proxy or another client makes of them must be what ours does.
    const mayComeBack = status === 408 || status === 429 || status >= 500
    if (retry !== mayComeBack) complaints.push(`${code}: ${status} with retry ${retry}`)
    if (!/^[A-Z][^.]+$/.test(title)) complaints.push(`${code}: title "${title}"`)
    if (hint.length < 5 || hint.endsWith('.')) complaints.push(`${code}: hint "${hint}"`)
  }
  t.same(complaints, [])
  t.end()
})

test('a problem crosses the wire whole', (t) => {
  const complaints: string[] = []
  for (const code of codes) {
    const problem = new Problem(code, 'line 3: no: really', { line: 3, expected: 17, allow: ['GET'] })
    const read = Problem.fromBody(problem.status, JSON.parse(JSON.stringify(problem)))
    const same = JSON.stringify(read) === JSON.stringify(problem) && read.message === problem.message
    if (!same || read.code !== code || read.retry !== problem.retry) complaints.push(JSON.stringify(read))
  }
  t.same(complaints, [])
  t.same(JSON.parse(JSON.stringify(new Problem('unknown_topic', 'there is no topic x', { known: ['telemetry'] }))), {
    type: 'urn:penstock:problem:unknown_topic',
    title: 'No such topic',
    status: 404,
    code: 'unknown_topic',
    detail: 'there is no topic x',
    hint: 'GET /topics lists them; TOPICS or PUT /topics/T makes one',
    known: ['telemetry'],
  })
  t.end()
})

test('what is no problem of ours is known by its status', (t) => {
  const cases: [status: number, code: ProblemCode, retry: boolean][] = [
    [400, 'bad_request', false],
    [401, 'unauthorized', false],
    [403, 'forbidden', false],
    [404, 'not_found', false],
    [408, 'request_timeout', true],
    [409, 'bad_request', false],
    [413, 'body_too_large', false],
    [418, 'bad_request', false],
    [425, 'unavailable', true],
    [429, 'rate_limited', true],
    [500, 'internal', true],
    [502, 'unavailable', true],
    [503, 'unavailable', true],
    [504, 'unavailable', true],
    [507, 'unavailable', true],
  ]
  const bodies = [
    undefined,
    null,
    '<html>',
    17,
    [],
    {},
    { code: 'of_a_later_version' },
    { code: 'toString' },
    { code: 1 },
  ]
  const complaints: string[] = []
  for (const [status, code, retry] of cases) {
    for (const body of bodies) {
      const problem = Problem.fromBody(status, body)
      if (problem.code !== code || problem.retry !== retry) complaints.push(`${status} ${JSON.stringify(body)}`)
    }
  }
  t.same(complaints, [])
  t.end()
})

test('further members cannot take the place of the standard ones', (t) => {
  const problem = new Problem('lease_lost', 'gone', { code: 'internal', status: 200, title: 'x', refused: ['0/3/17'] })
  t.match(problem.toJSON(), { code: 'lease_lost', status: 409, title: 'The lease has moved on', refused: ['0/3/17'] })
  const body = JSON.parse('{"code":"lease_lost","detail":"d","__proto__":{"retry":true}}') as unknown
  t.equal(Problem.fromBody(409, body).retry, false)
  t.end()
})
