/** The images that the cluster test installs: made where they are missing, and brought into the cluster. */

import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from '#test/start'
import { influxdb2Path } from '#test/tools'

export interface Images {
  readonly penstock: string
  /** The same under another tag, to upgrade to. */
  readonly next: string
  readonly influxdb: string
}

export function prepareImages(version: string): Images {
  const penstock = process.env['IMAGE'] ?? `localhost/penstock:${version}`
  const influxdb = process.env['INFLUXDB_IMAGE'] ?? 'localhost/influxdb:2.9.1'
  const next = `${penstock}-next`
  const load = process.env['CLUSTER_LOAD']
  if (load === undefined) return { penstock, next, influxdb }
  if (!isHere(penstock)) execFileSync('bash', ['image/build', penstock], { cwd: root, stdio: 'inherit' })
  if (!isHere(influxdb)) buildInfluxdb(influxdb, penstock)
  execFileSync('buildah', ['tag', penstock, next])
  for (const image of [penstock, next, influxdb]) {
    process.stdout.write(`${load} ${image}\n`)
    execFileSync('sh', ['-c', `${load} "$0"`, image], { stdio: ['ignore', 'ignore', 'inherit'] })
  }
  return { penstock, next, influxdb }
}

function isHere(image: string): boolean {
  try {
    execFileSync('buildah', ['inspect', '--type', 'image', image], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** The real InfluxDB, on the Debian that the image of Penstock has. */
function buildInfluxdb(name: string, base: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-influxdb-'))
  try {
    copyFileSync(influxdb2Path, join(folder, 'influxd'))
    writeFileSync(
      join(folder, 'Dockerfile'),
      `FROM ${base}\nUSER 0\nCOPY influxd /usr/local/bin/influxd\nUSER 1000\nENTRYPOINT []\nCMD ["influxd"]\n`,
    )
    const flags = ['bud', '--quiet', '--isolation', 'chroot', '--format', 'docker', '--tag', name, folder]
    execFileSync('buildah', flags, { stdio: ['ignore', 'ignore', 'inherit'] })
  } finally {
    rmSync(folder, { recursive: true })
  }
}
