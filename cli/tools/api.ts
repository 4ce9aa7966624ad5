/** What the tools share that talk to the API: where it is, and how it is reached. */

import { fetchOf } from '#lib/dial'
import { setting, type Settings } from '#lib/settings'
import { openTls } from '#lib/tls'
import { Problem } from '#wire/problems'
import { Transport } from '#wire/transport'
import type { Io } from '../command.ts'
import { printable } from '../table.ts'
import { brokerSettings, tlsTrouble } from './broker.ts'

const { tlsCa, tlsClientCert, tlsClientKey } = brokerSettings

/** Every such tool's table has these, and a key. */
export const reachSettings = {
  apiUrl: setting.url('API_URL', { help: 'where the API is', default: 'http://127.0.0.1:8080' }),
  tlsCa,
  tlsClientCert,
  tlsClientKey,
}

/** The only variables that these tools take from the environment. */
export const reachVariables = ['API_URL', 'API_KEY', ...[tlsCa, tlsClientCert, tlsClientKey].map(({ name }) => name)]

/** How the API is asked. @throws SettingsError where a file of TLS cannot be used */
export async function transportTo(
  { apiUrl: url, ...files }: Settings<typeof reachSettings>,
  token: ConstructorParameters<typeof Transport>[0]['token'],
  io: Io,
): Promise<Transport> {
  const say = (text: string): void => void io.stderr.write(`penstock: ${printable(text)}\n`)
  const tls = openTls(files, { log: { info: say, error: say } })
  return new Transport({ url, token, fetch: await fetchOf(tls.client) })
}

/** An error of these tools, or in its place one that says what to do. @param wants what to do where no key, or a wrong one, came */
export function explainedApi(error: unknown, url: string, wants: (detail: string) => string): unknown {
  if (!(error instanceof Problem)) return error
  const { detail } = error.toJSON()
  if (error.code === 'unauthorized') return new Error(wants(detail), { cause: error })
  if (error.code !== 'unavailable' || error.cause === undefined) return new Error(detail, { cause: error })
  const what =
    tlsTrouble(error, url) ??
    `no API answers at ${url}: start one with penstock up, or give its address with --api-url (${detail})`
  return new Error(what, { cause: error })
}
