/** What the tools share that talk to a broker: where it is, and what to say when it is not there. */

import { fetchOf } from '#lib/dial'
import { commonSettings, setting, type Settings } from '#lib/settings'
import { openTls } from '#lib/tls'
import { Client, type ClientOptions, type TopicInfo } from '#wire/client'
import { Problem } from '#wire/problems'
import { didYouMean } from '../args.ts'
import type { Io } from '../command.ts'
import { printable } from '../table.ts'

/** The proxy of `penstock up`. */
const defaultAddress = 'http://127.0.0.1:8081'

/** Every such tool's table begins with these. */
export const brokerSettings = {
  addr: setting.url('MSG_QUEUE_ADDR', { help: 'the broker or proxy to talk to', default: defaultAddress }),
  serviceToken: { ...commonSettings.serviceToken, help: 'the token between the roles, where they have one' },
  tlsCa: {
    ...commonSettings.tlsCa,
    help: 'a PEM file: the authorities of an address with https; default the system’s',
  },
  tlsClientCert: { ...commonSettings.tlsClientCert, help: 'a PEM file: the certificate to show there' },
  tlsClientKey: commonSettings.tlsClientKey,
}

export const brokerAliases = { addr: 'msg-queue-addr' }

/** The only variables that tools take from the environment: their other flags have names that others use, too. */
export const brokerVariables = ['MSG_QUEUE_ADDR', 'SERVICE_TOKEN', 'TLS_CA', 'TLS_CLIENT_CERT', 'TLS_CLIENT_KEY']

/** How a broker is reached, as the settings say. @throws TlsError where a file of theirs cannot be used */
export async function reachOf(
  { addr, serviceToken, ...files }: Settings<typeof brokerSettings>,
  io: Io,
): Promise<ClientOptions> {
  const say = (text: string) => io.stderr.write(`penstock: ${printable(text)}\n`)
  const tls = openTls(files, { log: { info: say, error: say } })
  return { url: addr, token: serviceToken, fetch: await fetchOf(tls.client), onWarning: say }
}

/**
 * Works with a client of the broker.
 *
 * @throws Error that says what to do when there is no broker, or when it wants a token
 */
export async function withBroker<T>(
  settings: Settings<typeof brokerSettings>,
  io: Io,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client(await reachOf(settings, io))
  try {
    return await work(client)
  } catch (error) {
    throw io.signal.aborted ? error : explained(error, settings.addr)
  }
}

/**
 * An error, or in its place one that says what to do. What did not come from the client is left as it is: a store that is away
 * has the same words as a broker.
 *
 * @param flag and variable by which the address and the token are given
 */
export function explained(error: unknown, addr: string, flag = '--addr', variable = 'SERVICE_TOKEN'): unknown {
  if (!(error instanceof Problem)) return error
  const hint = tlsTrouble(error, addr)
  if (hint !== undefined) return new Error(hint, { cause: error })
  const code = networkCode(error)
  if (code !== undefined && isNetwork.test(code)) {
    const what = `no broker answers at ${addr} (${code}): start one with penstock up, or give its address with ${flag}`
    return new Error(what, { cause: error })
  }
  if (error.code === 'unauthorized') {
    return new Error(`${addr} wants a token: set ${variable} to the one that it was started with`, { cause: error })
  }
  if (error.code === 'certificate_needed') {
    const what = `${addr} wants a certificate: set TLS_CLIENT_CERT and TLS_CLIENT_KEY to one of an authority that it trusts`
    return new Error(what, { cause: error })
  }
  return error
}

/** What to do where a connection by TLS did not come about, or one without TLS where it should be by it. */
export function tlsTrouble(error: unknown, addr: string): string | undefined {
  const code = networkCode(error) ?? ''
  if (/^(SELF_SIGNED_CERT|DEPTH_ZERO_SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER))/.test(code)) {
    return `${addr} shows a certificate that is not trusted here (${code}): set TLS_CA to the file of its authority`
  }
  if (addr.startsWith('http:') && /^(ECONNRESET|UND_ERR_SOCKET)$/.test(code)) {
    return `${addr} hangs up (${code}): where it speaks TLS, its address begins with https`
  }
  return undefined
}

/**
 * A topic by its name.
 *
 * @throws Error naming the topics there are
 */
export async function topicNamed(client: Client, name: string): Promise<TopicInfo> {
  const topics = await client.topics()
  const found = topics.find((topic) => topic.name === name)
  if (found !== undefined) return found
  const names = topics.map((topic) => topic.name)
  throw new Error(`no topic ${JSON.stringify(name)}${didYouMean(name, names)}: there are ${names.join(', ')}`)
}

const isNetwork = /^(E[A-Z]+|UND_ERR_\w+)$/

/** `ECONNREFUSED`, `SELF_SIGNED_CERT_IN_CHAIN` and the like, from wherever in the chain of causes it stands. */
function networkCode(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException
    if (typeof code === 'string' && /^[A-Z][A-Z_]+$/.test(code)) return code
  }
  return undefined
}
