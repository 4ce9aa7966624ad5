import { test } from 'tap'
import type { Problem } from '#wire/problems'
import { tokenGuard } from './auth.ts'
import type { Request } from './http/http.ts'

function asks(authorization: string | undefined): Request {
  return { header: () => authorization } as unknown as Request
}

function refusalOf(tokens: readonly string[], authorization: string | undefined): string {
  try {
    tokenGuard(() => tokens)(asks(authorization))
  } catch (error) {
    return (error as Problem).code
  }
  return 'passed'
}

test('the right token passes, and only that', (t) => {
  t.equal(refusalOf(['hunter2'], 'Bearer hunter2'), 'passed')
  t.equal(refusalOf(['hunter2'], 'bearer hunter2'), 'passed')
  for (const header of [
    undefined,
    '',
    'Bearer',
    'Bearer ',
    'Bearer hunter',
    'Bearer hunter22',
    'Bearer Hunter2',
    'Basic hunter2',
    'hunter2',
    'Bearer hunter2 x',
    'Bearer hunter2, Bearer hunter2',
    'Bearer \0',
  ]) {
    t.equal(refusalOf(['hunter2'], header), 'unauthorized', String(header))
  }
  t.end()
})

test('two tokens at once, and others when they change', (t) => {
  let tokens = ['old', 'new']
  const guard = tokenGuard(() => tokens)
  guard(asks('Bearer old'))
  guard(asks('Bearer new'))
  tokens = ['new']
  guard(asks('Bearer new'))
  t.throws(() => guard(asks('Bearer old')), { code: 'unauthorized' })
  t.throws(() => guard(asks('Bearer old,new')), { code: 'unauthorized' })
  t.end()
})

test('without a token all pass', (t) => {
  tokenGuard(undefined)(asks(undefined))
  t.end()
})
