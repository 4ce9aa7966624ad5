/**
 * `npm run build`, and before every `npm pack`: compiles the sources to dist/, because Node strips no types from files
 * below node_modules, where the published package lives. A checkout needs no build.
 */

import { spawnSync } from 'node:child_process'
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const dist = join(root, 'dist')

rmSync(dist, { recursive: true, force: true })
const tsc = join(root, 'node_modules/.bin/tsc')
const { status, error } = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], {
  stdio: 'inherit',
})
if (error !== undefined) throw error
if (status === 0) writeManifest()
process.exitCode = status === 0 ? copyDashboard() : (status ?? 1)

/** Beside the compiled API, as in the checkout. Returns the status to exit with. */
function copyDashboard(): number {
  const { status } = spawnSync(process.execPath, [join(root, 'cli/dashboard.js'), '--force'], { stdio: 'inherit' })
  if (status === 0) cpSync(join(root, 'dashboard/dist'), join(dist, 'dashboard/dist'), { recursive: true })
  return status ?? 1
}

/** The nearest package.json decides what `#wire/ids` means: in dist/ it is the compiled file. */
function writeManifest(): void {
  const { name, version, imports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    name: string
    version: string
    imports: Record<string, string>
  }
  const compiled = Object.fromEntries(Object.entries(imports).map(([key, path]) => [key, path.replace(/\.ts$/, '.js')]))
  writeFileSync(
    join(dist, 'package.json'),
    JSON.stringify({ name, version, type: 'module', imports: compiled }, null, 2),
  )
}
