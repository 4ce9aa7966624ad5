/** Finds the row of a route table for a path. */

import { Problem } from '#wire/problems'
import type { Route } from './http.ts'

/** All routes of one path pattern. */
export interface PathRoutes {
  readonly pattern: string
  readonly byMethod: ReadonlyMap<string, Route>
  /** For the `Allow` header. */
  readonly allow: readonly string[]
}

export interface Match {
  readonly routes: PathRoutes
  readonly params: Readonly<Record<string, string>>
}

interface Pattern {
  readonly routes: PathRoutes
  /** A parameter's name in braces, or a text. */
  readonly segments: readonly string[]
}

const noParams: Readonly<Record<string, string>> = {}

export class Router {
  readonly #exact = new Map<string, Match>()
  /** Those without parameters first, then in the order of the table. */
  readonly #patterns: readonly Pattern[]

  /** @throws TypeError when two routes have one method and path */
  constructor(routes: readonly Route[]) {
    const byPath = new Map<string, Map<string, Route>>()
    for (const route of routes) {
      const methods = byPath.get(route.path) ?? new Map<string, Route>()
      if (methods.has(route.method)) throw new TypeError(`two routes for ${route.method} ${route.path}`)
      byPath.set(route.path, methods.set(route.method, route))
    }
    const patterns = [...byPath].map(([pattern, byMethod]) => {
      const allow = [...byMethod.keys()].flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
      return { segments: pattern.split('/'), routes: { pattern, byMethod, allow } }
    })
    const isFixed = ({ routes: { pattern } }: Pattern) => !pattern.includes('{')
    this.#patterns = [...patterns.filter(isFixed), ...patterns.filter((pattern) => !isFixed(pattern))]
    for (const { routes: found } of patterns.filter(isFixed)) {
      this.#exact.set(found.pattern, { routes: found, params: noParams })
    }
  }

  /**
   * @param path as it came, percent-encoded: an encoded slash is part of its segment
   * @throws Problem `bad_request` for an encoding that is none
   */
  find(path: string): Match | undefined {
    return this.#exact.get(path) ?? this.#search(path)
  }

  #search(path: string): Match | undefined {
    const segments = path.split('/').map(decode)
    for (const pattern of this.#patterns) {
      const params = match(pattern.segments, segments)
      if (params !== undefined) return { routes: pattern.routes, params }
    }
    return undefined
  }
}

function match(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined
  const params: Record<string, string> = {}
  for (const [at, wanted] of pattern.entries()) {
    const segment = segments[at] as string
    if (wanted.startsWith('{')) {
      if (segment === '') return undefined
      params[wanted.slice(1, -1)] = segment
    } else if (wanted !== segment) return undefined
  }
  return params
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw new Problem('bad_request', 'the path holds a % that is not followed by the hexadecimal digits of UTF-8')
  }
}
