import { test } from 'tap'
import { StoreError } from '#store/errors'
import { Problem } from '#wire/problems'
import { explained } from './broker.ts'

const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })

test('a broker that does not answer is told with what to do', async (t) => {
  const problem = new Problem('unavailable', 'connect ECONNREFUSED')
  problem.cause = refused
  t.match(explained(problem, 'http://a'), { message: /^no broker answers at http:\/\/a \(ECONNREFUSED\): .*--addr$/ })
  t.match(explained(new Problem('unauthorized', 'x'), 'http://a'), { message: /set SERVICE_TOKEN/ })
})

test('what others say is left as it is: a store that is away is no broker', async (t) => {
  const away = new StoreError('away', 'InfluxDB at http://b: connect ECONNREFUSED', refused)
  const folder = Object.assign(new Error('EISDIR: illegal operation on a directory, read'), { code: 'EISDIR' })
  for (const error of [away, folder]) t.equal(explained(error, 'http://a'), error)
})
