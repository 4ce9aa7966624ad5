import type { Problem } from '#wire/problems'

/** A refusal as HTTP: `application/problem+json` (RFC 9457), with the headers that its code asks for. */
export function problemAnswer(problem: Problem): { status: number; headers: string[]; body: string } {
  const headers = ['Content-Type', 'application/problem+json']
  const { retry_after_s: retryAfterS, allow } = problem.extra
  if (typeof retryAfterS === 'number') headers.push('Retry-After', String(Math.max(1, Math.ceil(retryAfterS))))
  if (Array.isArray(allow)) headers.push('Allow', allow.join(', '))
  if (problem.code === 'unauthorized') headers.push('WWW-Authenticate', 'Bearer')
  return { status: problem.status, headers, body: JSON.stringify(problem) }
}
