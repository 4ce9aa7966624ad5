/** Addresses and networks of others. */

import { BlockList, isIP } from 'node:net'

export interface Networks {
  readonly isEmpty: boolean
  /** Whether an address is in one of them; an IPv4 one also where it comes as IPv6 (`::ffff:10.0.0.7`). */
  has(address: string): boolean
}

/** @returns `undefined` where one is neither an address nor a network in CIDR notation (RFC 4632, RFC 4291) */
export function readNetworks(texts: readonly string[]): Networks | undefined {
  const list = new BlockList()
  for (const text of texts) {
    const [address = '', prefix, ...rest] = text.split('/')
    const version = isIP(address)
    if (version === 0 || rest.length > 0) return undefined
    const family = version === 4 ? 'ipv4' : 'ipv6'
    if (prefix === undefined) list.addAddress(address, family)
    else if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > (version === 4 ? 32 : 128)) return undefined
    else list.addSubnet(address, Number(prefix), family)
  }
  return {
    isEmpty: texts.length === 0,
    has(address) {
      const bare = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
      const version = isIP(bare)
      return version !== 0 && list.check(bare, version === 4 ? 'ipv4' : 'ipv6')
    },
  }
}
