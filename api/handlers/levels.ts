/** `/log-level`: how much this process logs, as on every other role. */

import { changeLevel, type Log } from '#lib/log'
import type { Handlers } from '../call.ts'
import type { AnswerOf } from '../contract.ts'

type Level = AnswerOf<'getLogLevel'>['level']

export function levelHandlers(log: Log): Handlers<'getLogLevel' | 'setLogLevel'> {
  const told = () => ({ level: log.level as Level })
  return {
    getLogLevel: async () => told(),
    async setLogLevel({ query, by, note }) {
      const from = log.level
      changeLevel(log, query.level, `PUT /log-level (${by})`)
      note({ from, to: query.level })
      return told()
    },
  }
}
