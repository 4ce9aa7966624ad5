/** A release whose roles speak TLS and show each other certificates: the sample goes through, and strangers do not. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Authority, newAuthority } from '#test/certificates'
import { Scope } from '#test/scope'
import type { Images } from './images.ts'
import { type Asked, imageFlags, prepare, sample, sampleStored } from './prepare.ts'
import { type Figures, type Knock, release, type Site, until } from './tools.ts'
import { watched } from './watched.ts'

const secretName = 'penstock-tls'
const services = ['msg-queue', 'msg-queue-proxy', 'streamer-service', 'collector-service', 'api-service']

/** Installs, streams, asks, knocks without a certificate, renews all of them, and uninstalls. */
export async function streamedByTls(site: Site, images: Images): Promise<Figures> {
  const scope = new Scope()
  try {
    return await tried(site, images, newAuthority(scope, 'cluster test'))
  } finally {
    await scope.end()
  }
}

async function tried(site: Site, images: Images, authority: Authority): Promise<Figures> {
  const rows = await prepare(site, images, { tlsSecret: secretName })
  site.apply(secretOf(authority))
  await site.deploy(...imageFlags(images), '--set', `prometheus.enabled=${images.prometheus !== undefined}`)
  await site.atWork()
  await site.helm('test', release, '--timeout', '3m')
  const stored = await sampleStored(site)
  await until('the whole pipeline to be well', 60, async () => {
    const { body } = await site.work<Asked>('ask', '/api/v1/pipeline')
    // Brokers are asked at addresses, which no certificate has.
    if ((JSON.parse(body) as { state: string }).state !== 'ok') throw new Error(body)
    return true
  })
  // Trusted, and without a certificate: the token is not even looked at.
  const { status } = await site.work<Knock>('knock', 'https://msg-queue-proxy:8080/topics')
  if (status !== 403) throw new Error(`the proxy answers ${status} to who shows no certificate, want 403`)
  const { status: plain } = await site.work<Knock>('knock', 'http://msg-queue-proxy:8080/health')
  if (plain === 200) throw new Error('the proxy still answers without TLS')
  const lag = await site.kubectl('exec', 'deploy/api-service', '-c', 'api', '--', 'penstock', 'lag')
  if (!lag.includes('telemetry')) throw new Error(`penstock lag in a pod: ${lag}`)
  site.apply(secretOf(authority))
  const roles = ['statefulset/msg-queue', 'deployment/msg-queue-proxy', 'deployment/api-service']
  // The kubelet brings it into the pods within a minute or two.
  for (const role of roles) {
    await until(`the new certificate in ${role}`, 180, async () => {
      const log = await site.kubectl('logs', role, '--tail=500', '--all-containers')
      return /the certificate of this role was read again/.test(log) ? true : undefined
    })
  }
  const restarts = await site.kubectl(
    'get',
    'pods',
    '-o',
    'jsonpath={.items[*].status.containerStatuses[*].restartCount}',
  )
  if (/[1-9]/.test(restarts)) throw new Error(`a role was restarted: ${restarts}`)
  const seen = images.prometheus === undefined ? {} : await watched(site, 'https')
  await site.helm('uninstall', release, '--wait', '--timeout', '3m')
  await site.kubectl('delete', 'pod', 'beside', 'outside', '--wait=false')
  return { acknowledged: rows, stored: Math.min(stored, sample().rows), 'certificates renewed': roles.length, ...seen }
}

/** The Secret that cert-manager, or a person, would make; each time with a new certificate. */
function secretOf(authority: Authority): object {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-tls-'))
  try {
    const { cert, key } = authority.sign(folder, 'roles', services)
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
  }
}
