import { SettingsError } from '../settings.ts'
import type { OpenEngine } from './engine.ts'
import { openNode } from './node.ts'
import type { HttpSettings } from './settings.ts'
import { loadUws, UwsAbsent } from './uws-api.ts'
import { openUws } from './uws.ts'

export interface Chosen {
  readonly name: 'uws' | 'node'
  readonly open: OpenEngine
  /** For the log: why this one, and how the other is to be had. */
  readonly why: string
}

/**
 * The engine that a role serves by.
 *
 * @param load throws {@link UwsAbsent} where uWebSockets.js cannot be had
 * @throws SettingsError when it is asked for by name and does not load
 */
export function chooseEngine(
  wanted: HttpSettings['httpEngine'],
  hasTls: boolean,
  load: () => unknown = loadUws,
): Chosen {
  const node = (why: string): Chosen => ({ name: 'node', open: openNode, why })
  if (wanted === 'node') return node('HTTP_ENGINE=node')
  // Its certificates are those of its start; ours are read again when they change, and asked of clients that need not have one.
  if (hasTls) return node('TLS_CERT is set, and uws cannot renew a certificate while it runs')
  try {
    load()
  } catch (error) {
    if (!(error instanceof UwsAbsent)) throw error
    // That it is not installed is no fault, and must not sound like one.
    const why = error.isInstalled ? `does not load here: ${error.message}` : 'comes with `npm run engine`'
    if (wanted === 'auto') return node(`Node's own; uws, which is faster, ${why}`)
    throw new SettingsError([`HTTP_ENGINE=uws: it does not load: ${error.message}: want auto, node, or what it lacks`])
  }
  return { name: 'uws', open: openUws, why: wanted === 'auto' ? 'it loads' : 'HTTP_ENGINE=uws' }
}
