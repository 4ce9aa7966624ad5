/**
 * TLS for servers and clients from files that are read again when they change. A connection lives on with what it was made
 * with; the next one is made with what the files hold then. TLS 1.2 is the least.
 */

import { constants, X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { createSecureContext, type SecureContextOptions, TLSSocket } from 'node:tls'
import type { Log } from './log.ts'
import type { Gauge, Metrics } from './metrics.ts'
import { type CommonSettings, SettingsError } from './settings.ts'
import { type Watched, watchFiles } from './watch.ts'

/** Paths of files. */
export type TlsSettings = {
  readonly [Name in keyof CommonSettings as Name extends `tls${string}` ? Name : never]?: string | undefined
}

/** What a server needs to listen by TLS. */
export interface ServerTls {
  /** For the constructor of the server; as it is now. */
  readonly options: SecureContextOptions & { readonly requestCert: boolean; readonly rejectUnauthorized: boolean }
  /** Only clients with a certificate of TLS_CLIENT_CA may ask, but for probes. */
  readonly wantsCertificate: boolean
  /** Gives the server each new certificate. */
  follow(server: { setSecureContext(options: SecureContextOptions): void }): void
}

/** What a client needs to be known, and to know the server. */
export interface ClientTls {
  readonly options: SecureContextOptions
  onChange(callback: (options: SecureContextOptions) => void): void
}

export interface Tls {
  /** `undefined`: the role listens without TLS. */
  readonly server: ServerTls | undefined
  /** `undefined`: the authorities of the system are trusted, and nothing is shown to servers. */
  readonly client: ClientTls | undefined
  stop(): void
}

export interface TlsOptions {
  readonly log: Pick<Log, 'info' | 'error'>
  readonly metrics?: Metrics
  /** How often the files are looked at. */
  readonly everyMs?: number
}

const noTickets = constants.SSL_OP_NO_TICKET

/** @throws SettingsError for files that are missing, cannot be read, or do not fit together */
export function openTls(settings: TlsSettings, options: TlsOptions): Tls {
  const server = openServerTls(settings, options)
  const client = openClientTls(settings, options)
  return {
    server: server?.tls,
    client: client?.tls,
    stop() {
      server?.watched.stop()
      client?.watched.stop()
    },
  }
}

/** Whether the client has shown a certificate that the server asked for and trusts: on this connection, or one it resumes. */
export function hasCertificate(socket: Socket): boolean {
  return socket instanceof TLSSocket && socket.authorized && socket.getPeerX509Certificate() !== undefined
}

function openServerTls(settings: TlsSettings, options: TlsOptions) {
  const { tlsCert, tlsKey, tlsClientCa } = settings
  const files = pairOf(['TLS_CERT', tlsCert], ['TLS_KEY', tlsKey])
  if (files === undefined) {
    if (tlsClientCa === undefined) return undefined
    throw new SettingsError(['TLS_CLIENT_CA is set: want TLS_CERT and TLS_KEY beside it'])
  }
  const wantsCertificate = tlsClientCa !== undefined
  const watched = watch([...files, ...(tlsClientCa === undefined ? [] : [['TLS_CLIENT_CA', tlsClientCa] as const])], {
    ...options,
    what: 'the certificate of this role',
    make: ([cert, key, ca]) => ({
      cert,
      key,
      ...(ca === undefined ? {} : { ca: authorities(ca) }),
      // A session that is resumed is not checked again, and would outlive an authority that is not trusted any more.
      ...(wantsCertificate ? { secureOptions: noTickets } : {}),
    }),
  })
  const tls: ServerTls = {
    // A client without a certificate gets as far as HTTP, where it is told so, and where a probe gets its answer.
    get options() {
      return { ...watched.value, requestCert: wantsCertificate, rejectUnauthorized: false }
    },
    wantsCertificate,
    follow: (server) => watched.onChange((context) => server.setSecureContext(context)),
  }
  const expiry = options.metrics && expiryFigure(options.metrics)
  options.metrics?.onScrape(() => {
    const { validTo } = new X509Certificate(watched.value.cert as Buffer)
    expiry?.set(Date.parse(validTo) / 1000)
  })
  return { tls, watched }
}

/** Registers the metric of the certificate: only a role that has one shows it. */
export function expiryFigure(metrics: Metrics): Gauge {
  return metrics.gauge(
    'penstock_tls_certificate_expiry_timestamp_seconds',
    'When the certificate that this role shows ends, in seconds since 1970',
  )
}

function openClientTls(settings: TlsSettings, options: TlsOptions) {
  const { tlsCert, tlsKey, tlsCa, tlsClientCert, tlsClientKey } = settings
  const own = pairOf(['TLS_CLIENT_CERT', tlsClientCert], ['TLS_CLIENT_KEY', tlsClientKey])
  const pair = own ?? pairOf(['TLS_CERT', tlsCert], ['TLS_KEY', tlsKey]) ?? []
  if (tlsCa === undefined && own === undefined) return undefined
  const authority = tlsCa === undefined ? [] : [['TLS_CA', tlsCa] as const]
  const watched = watch([...authority, ...pair], {
    ...options,
    what: 'what this role asks others by',
    make(contents) {
      const [cert, key] = contents.slice(authority.length)
      const ca = contents.slice(0, authority.length)
      return {
        ...(ca[0] === undefined ? {} : { ca: authorities(ca[0]) }),
        ...(cert === undefined || key === undefined ? {} : { cert, key }),
      }
    },
  })
  const tls: ClientTls = {
    get options() {
      return watched.value
    },
    onChange: (callback) => watched.onChange(callback),
  }
  return { tls, watched }
}

type NamedFile = readonly [setting: string, path: string]

function pairOf(
  cert: readonly [string, string | undefined],
  key: readonly [string, string | undefined],
): [NamedFile, NamedFile] | undefined {
  if (cert[1] === undefined && key[1] === undefined) return undefined
  if (cert[1] !== undefined && key[1] !== undefined) return [cert as NamedFile, key as NamedFile]
  throw new SettingsError([`${cert[0]} and ${key[0]}: want both, or neither`])
}

function watch(
  files: readonly NamedFile[],
  {
    log,
    what,
    make,
    everyMs,
  }: TlsOptions & { what: string; make: (contents: readonly Buffer[]) => SecureContextOptions },
): Watched<SecureContextOptions> {
  const named = files.map(([setting, path]) => `${setting}=${path}`).join(', ')
  const paths = files.map(([, path]) => path)
  try {
    const watched = watchFiles(paths, {
      make(contents) {
        const context = make(contents)
        // Throws for what is no certificate, and for a key that is not its own.
        createSecureContext(context)
        return context
      },
      onTrouble: (reason) => log.error(`${named}: cannot be used, what was read before stays: ${reason}`),
      ...(everyMs === undefined ? {} : { everyMs }),
    })
    watched.onChange(() => log.info(`${what} was read again: ${named}`))
    return watched
  } catch (error) {
    throw new SettingsError([
      `${named}: ${(error as Error).message}: want PEM files of a certificate, its key, or authorities`,
    ])
  }
}

/** The certificates of a bundle. OpenSSL passes in silence over what is none. */
function authorities(pem: Buffer): string[] {
  const found = pem.toString('latin1').match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  if (found.length === 0) throw new Error('there is no certificate of an authority in it')
  return found.map((each) => new X509Certificate(each).toString())
}
