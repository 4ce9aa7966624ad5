/**
 * `npm run test:cluster`: the chart on a real cluster, the one that KUBECONFIG names. Each step compares what was
 * acknowledged with what is stored.
 *
 *     npm run test:cluster [-- --only install,restart] [--keep]
 *
 * Environment:
 *
 *     CLUSTER_LOAD     a command that gets the name of an image and brings it into the cluster, such as
 *                      `kind load docker-image` or `minikube image load`; unset: the images are there
 *     IMAGE            the image of Penstock, localhost/penstock:<version> unset; `npm run image` makes it
 *     PROMETHEUS_IMAGE an image with Prometheus, localhost/prometheus:debian unset: made here of the program on the PATH; without
 *                      one, or without CLUSTER_LOAD, that of the chart
 *     INFLUXDB_IMAGE   an image with InfluxDB 2, localhost/influxdb:2.9.1 unset: made here of what .ci/influxdb2 built
 *
 * It makes namespaces `penstock-test-*` and removes them, also after a failure, but with --keep.
 */

import { execFileSync } from 'node:child_process'
import { version } from '#lib/version'
import { prepareImages } from './images.ts'
import { steps } from './steps.ts'
import type { Figures } from './tools.ts'

const { values: flags } = (await import('node:util')).parseArgs({
  options: { only: { type: 'string' }, keep: { type: 'boolean', default: false } },
})

if (process.env['KUBECONFIG'] === undefined) {
  process.stderr.write('test:cluster: KUBECONFIG is not set: want the file of a cluster that may be tried on\n')
  process.exit(2)
}
const only = flags.only?.split(',')
const unknown = only?.find((name) => steps.every((step) => step.name !== name))
if (unknown !== undefined) {
  process.stderr.write(`test:cluster: no step ${unknown}: want some of ${steps.map(({ name }) => name).join(', ')}\n`)
  process.exit(2)
}

const images = prepareImages(version)
let failed = 0
let passed = 0
const used = new Set<string>()
try {
  for (const step of steps) {
    if (only !== undefined && !only.includes(step.name)) continue
    used.add(step.site.namespace)
    const startedMs = performance.now()
    const tell = (outcome: string) =>
      process.stdout.write(
        `${step.name.padEnd(12)} ${outcome} (${((performance.now() - startedMs) / 1_000).toFixed(0)} s)\n`,
      )
    try {
      const figures = await step.run(images)
      const lost = lostOf(figures)
      tell(`${lost === 0 ? 'ok  ' : 'FAIL'} ${textOf(figures)}`)
      if (lost === 0) passed += 1
      else failed += 1
    } catch (error) {
      failed += 1
      const { message, stderr, cause } = error as Error & { stderr?: string }
      tell(
        `FAIL ${message}${stderr === undefined ? '' : `\n${stderr}`}${cause === undefined ? '' : `\n${cause instanceof Error ? cause.message : JSON.stringify(cause)}`}`,
      )
      // Without a release there is nothing for the others to try.
      if (step.name === 'install') break
    }
  }
} finally {
  if (!flags.keep) {
    for (const namespace of used) {
      execFileSync('kubectl', ['delete', 'namespace', namespace, '--ignore-not-found', '--wait=true'], {
        stdio: 'ignore',
      })
    }
  }
}
process.stdout.write(`${passed} passed, ${failed} failed\n`)
process.exitCode = failed === 0 ? 0 : 1

/** What was acknowledged and is not stored. More than that may be stored: an answer can be lost. */
function lostOf({ acknowledged, stored }: Figures): number {
  return acknowledged === undefined || stored === undefined ? 0 : Math.max(0, acknowledged - stored)
}

function textOf(figures: Figures): string {
  const { acknowledged, stored, ...others } = figures
  const counts =
    acknowledged === undefined ? [] : [`acknowledged ${acknowledged}`, `stored ${stored}`, `lost ${lostOf(figures)}`]
  return [...counts, ...Object.entries(others).map(([name, value]) => `${name} ${value}`)].join(', ')
}
