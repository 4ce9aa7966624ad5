/** Words that several endpoints are made of: parameters, and what they say of themselves. */

import { Type } from '../schemas/type.ts'

export const limit = (max: number, fallback: number, of: string) =>
  Type.Integer({ minimum: 1, maximum: max, default: fallback, description: `${of} at most` })

export const when = (description: string) =>
  Type.String({
    minLength: 1,
    description: `${description}: RFC 3339, epoch (s, ms, µs or ns), now, or a time ago such as -15m`,
    examples: ['-15m', '2025-07-18T20:42:34Z'],
  })

export const name = (description: string) => Type.String({ minLength: 1, maxLength: 512, description })

export const cursor = name('Of the page before')

export const duration = (description: string) =>
  Type.String({ pattern: '^[0-9]', description: `${description}: 500ms, 30s, 5m, 1h, 1d`, examples: ['1m'] })

export const topicName = Type.String({
  pattern: '^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$',
  description: 'Default: MSG_QUEUE_TOPIC',
})

export const gpuFilter = {
  host: Type.Optional(name('Of this host only')),
  model: Type.Optional(name('Of models whose name contains this, in any case')),
  namespace: Type.Optional(Type.String({ description: 'In this namespace; empty: in none' })),
}
