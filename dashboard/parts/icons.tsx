/** Signs that say with their shape what their colour says too. */

export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="var(--accent-strong)" />
      <path d="M6 8h7v6.500c0 1.400 1.100 2.500 2.500 2.500H26v7H15.500C10.300 24 6 19.700 6 14.500z" fill="#fff" />
      <path d="M21 6.500v8M25 6.500v8" stroke="#a5e8f2" stroke-width="2.500" stroke-linecap="round" />
    </svg>
  )
}

export type Sign = 'good' | 'warn' | 'bad' | 'idle'

const shapes: Readonly<Record<Sign, string>> = {
  good: 'M8 1.500a6.500 6.500 0 1 1 0 13 6.500 6.500 0 0 1 0-13M4.800 8.200l2.300 2.300 4.200-4.600',
  warn: 'M8 1.800 15 14.200H1zM8 6v4M8 11.700v.6',
  bad: 'M5 1.500h6L14.500 5v6L11 14.500H5L1.500 11V5zM5.600 5.600l4.800 4.800M10.400 5.600l-4.800 4.800',
  idle: 'M8 1.500a6.500 6.500 0 1 1 0 13 6.500 6.500 0 0 1 0-13M5 8h6',
}

export function SignIcon({ sign }: { sign: Sign }) {
  return (
    <svg class={`sign ${sign}`} viewBox="0 0 16 16" aria-hidden="true">
      <path d={shapes[sign]} />
    </svg>
  )
}
