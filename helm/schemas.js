// `node helm/schemas.js SWAGGER FOLDER`: of the OpenAPI file of Kubernetes, one JSON schema for each kind, as kubeconform
// looks for them: kind-group-version.json. Strict: a field that Kubernetes would drop silently is an error. Runs on any Node.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

/** @typedef {Record<string, any>} Schema */

const [source = '', folder = ''] = process.argv.slice(2)
/** @type {Record<string, Schema>} */
const definitions = JSON.parse(readFileSync(source, 'utf8')).definitions
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })

let count = 0
for (const [name, definition] of Object.entries(definitions)) {
  for (const { group, version, kind } of definition['x-kubernetes-group-version-kind'] ?? []) {
    const file = [kind, ...(group === '' ? [] : [group.split('.')[0]]), version].join('-').toLowerCase()
    writeFileSync(join(folder, `${file}.json`), JSON.stringify(schemaOf(name, { group, version, kind })))
    count += 1
  }
}
console.log(`${count} schemas`)

/**
 * The schema of one kind with all that it refers to.
 *
 * @param {string} name
 * @param {{ group: string, version: string, kind: string }} id
 */
function schemaOf(name, { group, version, kind }) {
  /** @type {Record<string, Schema>} */
  const needed = {}
  const queue = [name]
  for (const next of queue) {
    if (needed[next] !== undefined) continue
    needed[next] = strict(next, definitions[next] ?? {})
    for (const [, other = ''] of JSON.stringify(definitions[next]).matchAll(/"#\/definitions\/([^"]+)"/g))
      queue.push(other)
  }
  const own = /** @type {Schema} */ (needed[name])
  const names = { apiVersion: { const: group === '' ? version : `${group}/${version}` }, kind: { const: kind } }
  needed[name] = {
    ...own,
    properties: { ...own['properties'], ...names },
    required: [...(own['required'] ?? []), 'apiVersion', 'kind'],
  }
  return { $schema: 'http://json-schema.org/draft-07/schema#', $ref: `#/definitions/${name}`, definitions: needed }
}

/**
 * @param {string} name
 * @param {Schema} schema
 * @returns {Schema}
 */
function strict(name, schema) {
  // Both are written as a number or as a text; the file says text.
  if (/\.(IntOrString|Quantity)$/.test(name)) return { type: ['string', 'number'] }
  return schema['properties'] === undefined ? schema : { ...schema, additionalProperties: false }
}
