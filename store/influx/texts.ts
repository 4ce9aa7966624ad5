/** Texts that are too long for a tag: the tag has their hash, and they stand in a measurement of their own. */

import { oneOf, where } from './influxql.ts'
import { headOf, isHash, stringField, type Tags, tagText, textOfTag } from './lines.ts'
import type { Server } from './server.ts'

/** A statement with more hashes than this would be long. */
const hashesMax = 100

/** The lines that keep those of some texts which are too long. */
export function textLines(texts: Iterable<string>): string[] {
  const byHash = new Map(
    [...texts].map((text) => [tagText(text), text] as const).filter(([content]) => isHash(content)),
  )
  return [...byHash].map(([hash, text]) => `${headOf('texts', { hash })} text=${stringField(text)} 0`)
}

/**
 * Reads the texts of all tags that are hashes.
 *
 * @returns the text of the content of any of these tags
 */
export async function readTexts(
  server: Server,
  database: string,
  tags: Iterable<Tags>,
): Promise<(content: string) => string> {
  const hashes = new Set<string>()
  for (const own of tags)
    for (const content of Object.entries(own).flat()) if (content.includes('%#')) hashes.add(hashIn(content))
  const texts = new Map<string, string>()
  const all = [...hashes]
  for (let from = 0; from < all.length; from += hashesMax) {
    const which = where(oneOf('hash', all.slice(from, from + hashesMax)))
    const [series = []] = await server.query(database, [`SELECT text FROM texts${which} GROUP BY hash`])
    for (const { tags, values } of series) texts.set(tags['hash'] as string, String(values[0]?.[1]))
  }
  return (content) => texts.get(content) ?? textOfTag(content) ?? content
}

/** The name of a tag has a prefix before its hash. */
function hashIn(content: string): string {
  return content.slice(content.indexOf('%#'))
}
