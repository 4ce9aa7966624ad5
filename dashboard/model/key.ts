/** The key to the API as it comes in the link that `penstock up` prints: behind the `#`, which no server ever sees. */

export interface Taken {
  /** `undefined`: the address holds none. */
  readonly key: string | undefined
  /** What the address says behind `#` without it; empty, or with its `#`. */
  readonly rest: string
}

/** Splits the key off `location.hash`, so that it does not stay in the address, the history or a shared link. */
export function takeKey(hash: string): Taken {
  const rest: string[] = []
  let key: string | undefined
  for (const part of hash.replace(/^#/, '').split('&')) {
    if (part.startsWith('key=')) key = decoded(part.slice('key='.length)).trim()
    else if (part !== '') rest.push(part)
  }
  return { key: key === '' ? undefined : key, rest: rest.length === 0 ? '' : `#${rest.join('&')}` }
}

/** Whether a header can carry it, and a server could have made it: visible ASCII. */
export function isPossibleKey(key: string): boolean {
  return /^[\x21-\x7e]{1,512}$/.test(key)
}

/** The GPU that the address names, so that a link to one can be kept. */
export function gpuIn(hash: string): string | undefined {
  const part = hash
    .replace(/^#/, '')
    .split('&')
    .find((each) => each.startsWith('gpu='))
  return part === undefined || part === 'gpu=' ? undefined : decoded(part.slice('gpu='.length))
}

export function hashOf(gpu: string | undefined): string {
  return gpu === undefined ? '' : `#gpu=${encodeURIComponent(gpu)}`
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
