/** compose.yaml: what `docker compose` would take, with settings that the roles know. */

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { Compile } from 'typebox/schema'
import { parse } from 'yaml'
import { roles, type RoleName } from '#cli/roles'
import { fileSettingOf, type SettingTable } from '#lib/settings'
import { root } from '#test/start'
import { schemasPath } from '#test/tools'

interface Service {
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes?: readonly string[]
  readonly profiles?: readonly string[]
  readonly read_only?: boolean
}

const compose = parse(readFileSync(join(root, 'compose.yaml'), 'utf8'), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, null>>
}
const services = Object.entries(compose.services)
const schemaPath = join(schemasPath, 'compose-spec.json')
const isRole = (name: string | undefined): name is RoleName => Object.hasOwn(roles, name ?? '')

test(
  'compose.yaml is as the specification has it',
  { skip: existsSync(schemaPath) ? false : 'no .ci/kubernetes' },
  (t) => {
    const schema = Compile(JSON.parse(readFileSync(schemaPath, 'utf8')) as object)
    t.strictSame(schema.Errors(compose), [true, []])
    t.equal(schema.Check({ services: { a: { imgae: 'x' } } }), false, 'and a wrong one is not')
    t.end()
  },
)

test('every role is a service, with settings that it knows', async (t) => {
  const seen = new Set<string>()
  for (const [name, { command: [role] = [], environment = {}, read_only: isReadOnly }] of services) {
    if (!isRole(role)) continue
    seen.add(role)
    t.equal(isReadOnly, true, name)
    const table = (await roles[role].settings()) as SettingTable
    const known = new Set(Object.values(table).flatMap((row) => [row.name, fileSettingOf(row).name]))
    for (const variable of Object.keys(environment)) t.ok(known.has(variable), `${name}: ${variable}`)
  }
  t.strictSame([...seen].toSorted(), Object.keys(roles).toSorted())
})

test('no secret stands in it, and every volume is one of its own', (t) => {
  for (const [name, { environment = {}, volumes = [] }] of services) {
    for (const [variable, value] of Object.entries(environment)) {
      if (/TOKEN|KEY|PASSWORD/.test(variable)) t.match(value, /^\$\{[A-Z_]+(:\?.*)?\}$/, `${name}: ${variable}`)
    }
    for (const [source = ''] of volumes.map((volume) => volume.split(':'))) {
      if (/^[a-z]/.test(source)) t.ok(Object.hasOwn(compose.volumes, source), `${name}: ${source}`)
    }
  }
  t.end()
})
