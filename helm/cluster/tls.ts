/** A release whose roles speak TLS and show each other certificates: the sample goes through, and strangers do not. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newAuthority } from '#test/certificates'
import { Scope } from '#test/scope'
import type { Images } from './images.ts'
import { imageFlags, prepare, sample, sampleStored } from './prepare.ts'
import { type Figures, type Knock, release, type Site } from './tools.ts'
import { watched } from './watched.ts'

const secretName = 'penstock-tls'
const services = ['msg-queue', 'msg-queue-proxy', 'streamer-service', 'collector-service', 'api-service']

export async function streamedByTls(site: Site, images: Images): Promise<Figures> {
  const rows = await prepare(site, images, { tlsSecret: secretName })
  site.apply(await certificate(services))
  await site.deploy(...imageFlags(images), '--set', `prometheus.enabled=${images.prometheus !== undefined}`)
  await site.atWork()
  await site.helm('test', release, '--timeout', '3m')
  const stored = await sampleStored(site)
  // Trusted, and without a certificate: the token is not even looked at.
  const { status } = await site.work<Knock>('knock', 'https://msg-queue-proxy:8080/topics')
  if (status !== 403) throw new Error(`the proxy answers ${status} to who shows no certificate, want 403`)
  const { status: plain } = await site.work<Knock>('knock', 'http://msg-queue-proxy:8080/health')
  if (plain === 200) throw new Error('the proxy still answers without TLS')
  const lag = await site.kubectl('exec', 'deploy/api-service', '-c', 'api', '--', 'penstock', 'lag')
  if (!lag.includes('telemetry')) throw new Error(`penstock lag in a pod: ${lag}`)
  const seen = images.prometheus === undefined ? {} : await watched(site, 'https')
  await site.helm('uninstall', release, '--wait', '--timeout', '3m')
  await site.kubectl('delete', 'pod', 'beside', 'outside', '--wait=false')
  return { acknowledged: rows, stored: Math.min(stored, sample().rows), ...seen }
}

/** The Secret that cert-manager, or a person, would make. */
async function certificate(names: readonly string[]): Promise<object> {
  const scope = new Scope()
  const folder = mkdtempSync(join(tmpdir(), 'penstock-tls-'))
  try {
    const authority = newAuthority(scope, 'cluster test')
    const { cert, key } = authority.sign(folder, 'roles', names)
    const base64 = (path: string): string => readFileSync(path).toString('base64')
    return {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/tls',
      metadata: { name: secretName },
      data: { 'tls.crt': base64(cert), 'tls.key': base64(key), 'ca.crt': base64(authority.path) },
    }
  } finally {
    rmSync(folder, { recursive: true })
    await scope.end()
  }
}
