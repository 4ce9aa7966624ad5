/** A small line without axes. Where nothing was reported there is none. */

import type { Point } from '../model/history.ts'
import { sparklineOf } from '../model/series.ts'

interface SparklineProps {
  readonly points: readonly Point[]
  readonly domain: readonly [number, number]
  readonly spanMs: number
  readonly name: string
}

const size = { width: 120, height: 26 }

export function SparklineView({ points, domain, spanMs, name }: SparklineProps) {
  const last = points.at(-1)
  if (last === undefined) return <span class="quiet">no values yet</span>
  const { path, dots } = sparklineOf(points, { ...size, endMs: last.timeMs, spanMs }, domain)
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${size.width} ${size.height}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={name}
    >
      <path d={path} />
      {dots.map(({ x, y }) => (
        <circle key={x} cx={Math.min(size.width - 2, Math.max(2, x))} cy={y} r="2" />
      ))}
    </svg>
  )
}
