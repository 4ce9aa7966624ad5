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
      const bare = bareOf(address)
      const version = isIP(bare)
      return version !== 0 && list.check(bare, version === 4 ? 'ipv4' : 'ipv6')
    },
  }
}

/**
 * Under what an address is counted: an IPv6 one by its first 64 bits, since whoever has one has all that begin with them
 * (RFC 4291, section 2.5.4), and could take another for each guess.
 */
export function counted(address: string): string {
  const bare = bareOf(address)
  if (isIP(bare) !== 6) return bare
  const [before = '', after] = bare.split('::')
  const [head, tail] = [before, after ?? ''].map((half) => (half === '' ? [] : half.split(':'))) as [string[], string[]]
  // What ends in an IPv4 address takes two places by it.
  const places = head.length + tail.length + (bare.includes('.') ? 1 : 0)
  const groups = [...head, ...Array<string>(Math.max(0, 8 - places)).fill('0'), ...tail]
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}

/** Without its zone; an IPv4 one as such, also where it comes as IPv6. */
function bareOf(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
}
