/** Files of secrets and certificates: whether they are private, fit together, and are still good. */

import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { commonSettings, type Setting } from '#lib/settings'
import type { Config } from './config.ts'
import { type Finding, findingsOf, spanOf } from './finding.ts'

/** Told so long before it ends: time enough to have one made. */
const soonS = 14 * 86_400

const othersMayRead = 0o004

export interface CertificateFacts {
  /** `TLS_CERT=/etc/tls/tls.crt`. */
  readonly name: string
  readonly fromMs: number
  readonly toMs: number
  /** Whether the key beside it is its own; `undefined` where there is none. */
  readonly fitsKey?: boolean
}

const tls = findingsOf('tls')
const secrets = findingsOf('secrets')

/** What is wrong with a certificate at this moment. */
export function judgeCertificate({ name, fromMs, toMs, fitsKey }: CertificateFacts, nowMs: number): Finding {
  const leftS = (toMs - nowMs) / 1000
  const until = new Date(toMs).toISOString()
  if (fitsKey === false)
    return tls.problem(`${name}: the key is of another certificate`, 'give the key that it was made with')
  if (leftS <= 0)
    return tls.problem(`${name}: it ended on ${until}`, 'put a new one in its place: it is read without a restart')
  if (nowMs < fromMs)
    return tls.problem(
      `${name}: it begins on ${new Date(fromMs).toISOString()}`,
      'see that the clock of this machine is right',
    )
  if (leftS < soonS)
    return tls.warning(`${name}: it ends in ${spanOf(leftS)}`, 'renew it: the file is read without a restart')
  return tls.ok(`${name}: good until ${until}`)
}

/** @param mode of the file that holds a secret */
export function judgeMode(name: string, mode: number): Finding {
  return (mode & othersMayRead) === 0
    ? secrets.ok(`${name}: only its owner and group may read it`)
    : secrets.warning(
        `${name}: every user of this machine may read it`,
        'chmod 640, or defaultMode: 0440 of a volume in Kubernetes',
      )
}

export function lookAtFiles(config: Config, secretRows: readonly Setting<unknown>[], nowMs: number): Finding[] {
  const { tlsCert, tlsKey, tlsClientCa, tlsCa, tlsClientCert, tlsClientKey } = commonSettings
  const files = secretRows.flatMap((row) => {
    const path = config.fileOf(row)
    return path === undefined ? [] : ([[`${row.name}_FILE=${path}`, path]] as const)
  })
  const keys = [tlsKey, tlsClientKey].flatMap((row) => namedPath(config, row))
  const certificates = [
    [tlsCert, tlsKey],
    [tlsClientCert, tlsClientKey],
    [tlsClientCa, undefined],
    [tlsCa, undefined],
  ] as const
  return [
    ...[...files, ...keys].map(([name, path]) => modeOf(name, path)),
    ...certificates.flatMap(([cert, key]) => lookAtCertificate(config, cert, key, nowMs)),
  ]
}

function namedPath(config: Config, row: Setting<string | undefined>): [name: string, path: string][] {
  const path = config.value(row)
  return path === undefined ? [] : [[`${row.name}=${path}`, path]]
}

function modeOf(name: string, path: string): Finding {
  try {
    return judgeMode(name, statSync(path).mode)
  } catch (error) {
    return secrets.problem(
      `${name}: ${codeOf(error)}`,
      'make it readable for this user, or give the path of the right file',
    )
  }
}

function lookAtCertificate(
  config: Config,
  certRow: Setting<string | undefined>,
  keyRow: Setting<string | undefined> | undefined,
  nowMs: number,
): Finding[] {
  const [cert] = namedPath(config, certRow)
  const key = keyRow === undefined ? undefined : namedPath(config, keyRow)[0]
  if (keyRow !== undefined && (cert === undefined) !== (key === undefined)) {
    return [tls.problem(`${certRow.name} and ${keyRow.name}: one is set without the other`, 'set both, or neither')]
  }
  if (cert === undefined) return []
  const [name, path] = cert
  try {
    const certificates = certificatesIn(readFileSync(path, 'latin1'))
    if (certificates[0] === undefined) return [tls.problem(`${name}: there is no certificate in it`, 'give a PEM file')]
    // What a role shows is the first, what follows leads to the authority; of authorities each counts.
    return certificates.map((each, at) => {
      const fitsKey =
        key === undefined || at > 0 ? undefined : each.checkPrivateKey(createPrivateKey(readFileSync(key[1])))
      const numbered = certificates.length === 1 ? name : `${name} (certificate ${at + 1})`
      const facts = { name: numbered, fromMs: Date.parse(each.validFrom), toMs: Date.parse(each.validTo) }
      return judgeCertificate(fitsKey === undefined ? facts : { ...facts, fitsKey }, nowMs)
    })
  } catch (error) {
    return [tls.problem(`${name}: it cannot be used: ${codeOf(error)}`, 'give PEM files that this user may read')]
  }
}

function certificatesIn(pem: string): X509Certificate[] {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  return found.map((each) => new X509Certificate(each))
}

/** The system's word; of others none of the text, which may hold a part of the file. */
function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error as Error).name
}
