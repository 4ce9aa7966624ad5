/** The images that the cluster test installs: made where they are missing, and brought into the cluster. */

import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { root } from '#test/start'
import { influxdb2Path } from '#test/tools'

export interface Images {
  readonly penstock: string
  /** The same under another tag, to upgrade to. */
  readonly next: string
  readonly influxdb: string
  /** `undefined`: that of the chart, from its registry. */
  readonly prometheus: string | undefined
}

export function prepareImages(version: string): Images {
  const penstock = process.env['IMAGE'] ?? `localhost/penstock:${version}`
  const influxdb = process.env['INFLUXDB_IMAGE'] ?? 'localhost/influxdb:2.9.1'
  const next = `${penstock}-next`
  const load = process.env['CLUSTER_LOAD']
  const given = process.env['PROMETHEUS_IMAGE']
  if (load === undefined) return { penstock, next, influxdb, prometheus: given }
  const program = programOf('prometheus')
  const prometheus = given ?? (program === undefined ? undefined : 'localhost/prometheus:debian')
  if (!isHere(penstock)) execFileSync('bash', ['image/build', penstock], { cwd: root, stdio: 'inherit' })
  if (!isHere(influxdb)) buildAround(influxdb2Path, ['influxd'], influxdb, penstock)
  if (prometheus !== undefined && program !== undefined && !isHere(prometheus)) {
    buildAround(program, [], prometheus, penstock)
  }
  execFileSync('buildah', ['tag', penstock, next])
  for (const image of [penstock, next, influxdb, ...(prometheus === undefined ? [] : [prometheus])]) {
    process.stdout.write(`${load} ${image}\n`)
    execFileSync('sh', ['-c', `${load} "$0"`, image], { stdio: ['ignore', 'ignore', 'inherit'] })
  }
  return { penstock, next, influxdb, prometheus }
}

function isHere(image: string): boolean {
  try {
    execFileSync('buildah', ['inspect', '--type', 'image', image], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Where a program of this machine is; `undefined` where there is none. */
function programOf(name: string): string | undefined {
  const { status, stdout } = spawnSync('sh', ['-c', 'command -v "$0"', name], { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : undefined
}

/** A real program of this machine, as the only thing that an image runs, on the Debian that the image of Penstock has. */
function buildAround(program: string, command: readonly string[], name: string, base: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-image-'))
  const at = `/usr/local/bin/${basename(program)}`
  try {
    copyFileSync(program, join(folder, basename(program)))
    // The chart starts InfluxDB by its name, and Prometheus by what its own image runs.
    const entry =
      command.length === 0 ? `ENTRYPOINT ["${at}"]\nCMD []` : `ENTRYPOINT []\nCMD ${JSON.stringify(command)}`
    writeFileSync(
      join(folder, 'Dockerfile'),
      `FROM ${base}\nUSER 0\nCOPY ${basename(program)} ${at}\nUSER 1000\n${entry}\n`,
    )
    const flags = ['bud', '--quiet', '--isolation', 'chroot', '--format', 'docker', '--tag', name, folder]
    execFileSync('buildah', flags, { stdio: ['ignore', 'ignore', 'inherit'] })
  } finally {
    rmSync(folder, { recursive: true })
  }
}
