/** Certificates for tests, made by openssl: an authority, and what it signs for this machine. */

import { execFileSync } from 'node:child_process'
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Scope, temporaryFolder } from './start.ts'

export interface Authority {
  /** The path of its certificate. */
  readonly path: string
  /**
   * Writes a certificate for 127.0.0.1, localhost and further host names, and its key, to `<name>.pem` and `<name>.key` of a
   * folder.
   */
  sign(folder: string, name: string, hosts?: readonly string[]): Certificate
}

/** Paths of PEM files. */
export interface Certificate {
  readonly cert: string
  readonly key: string
}

const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30']

export function newAuthority(t: Scope, name: string): Authority {
  const folder = temporaryFolder(t)
  const path = join(folder, 'ca.pem')
  const caKey = join(folder, 'ca.key')
  openssl('req', '-x509', ...key, '-keyout', caKey, '-out', path, '-subj', `/CN=${name}`)
  return {
    path,
    sign(to, own, hosts = []) {
      const certificate = { cert: join(to, `${own}.pem`), key: join(to, `${own}.key`) }
      const fresh = { cert: `${certificate.cert}.new`, key: `${certificate.key}.new` }
      const names = ['subjectAltName=IP:127.0.0.1', ...['localhost', ...hosts].map((host) => `DNS:${host}`)].join(',')
      const signed = ['-CA', path, '-CAkey', caKey, '-addext', names, '-addext', 'basicConstraints=CA:FALSE']
      openssl('req', '-x509', ...key, ...signed, '-keyout', fresh.key, '-out', fresh.cert, '-subj', `/CN=${own}`)
      renameSync(fresh.cert, certificate.cert)
      renameSync(fresh.key, certificate.key)
      return certificate
    },
  }
}

/** A file with the certificates of several authorities. */
export function bundle(path: string, ...authorities: readonly Authority[]): string {
  writeFileSync(`${path}.new`, authorities.map((each) => readFileSync(each.path, 'utf8')).join(''))
  renameSync(`${path}.new`, path)
  return path
}

/** Puts one certificate in the place of another, as a renewal does. */
export function replace(old: Certificate, by: Certificate): void {
  copyFileSync(by.cert, old.cert)
  copyFileSync(by.key, old.key)
}

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}
