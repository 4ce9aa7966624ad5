/** The fleet in six numbers. */

import type { ComponentChildren } from 'preact'
import { labelOf } from '../model/fleet.ts'
import * as format from '../model/format.ts'
import type { Point } from '../model/history.ts'
import type { Totals } from '../model/totals.ts'
import type { State } from '../state.ts'
import { SparklineView } from './sparkline.tsx'

export function TotalsPanel({ state, totals }: { state: State; totals: Totals }) {
  const { fleetHistory } = state
  const { gpus, hosts, staleGpus, busyGpus, power, utilisation, usedMib, totalMib, hottest } = totals
  const [fewest, most] = totals.gpusPerHost
  const share = usedMib.value === null || totalMib === null ? undefined : (usedMib.value / totalMib) * 100
  return (
    <section class="tiles" aria-label="The fleet">
      <Tile name="GPUs" value={format.count(gpus)} testId="gpus">
        {format.count(busyGpus)} busy{staleGpus > 0 && `, ${format.count(staleGpus)} stale`}
      </Tile>
      <Tile name="Hosts" value={format.count(hosts)} testId="hosts">
        {fewest === most ? `${most} GPUs each` : `${fewest} to ${most} GPUs each`}
      </Tile>
      <Tile name="Power" value={format.power(power.value)} testId="power" line={fleetHistory.power}>
        {partText(power.of, gpus)}
      </Tile>
      <Tile
        name="Mean utilisation"
        value={format.percent(utilisation.value, 1)}
        testId="utilisation"
        line={fleetHistory.utilisation}
        domain={[0, 100]}
      >
        {partText(utilisation.of, gpus)}
      </Tile>
      <Tile name="Memory used" value={format.memory(usedMib.value)} testId="memory">
        {share !== undefined && (
          <>
            <meter class="meter" min={0} max={100} value={share} aria-label="Share of all memory" />
            {format.percent(share)} of {format.memory(totalMib)}
          </>
        )}
      </Tile>
      <Tile name="Hottest" value={format.celsius(hottest?.celsius ?? null)} testId="hottest">
        {hottest === undefined ? '' : labelOf(hottest.gpu)}
      </Tile>
    </section>
  )
}

interface TileProps {
  readonly name: string
  readonly value: string
  readonly testId: string
  readonly line?: readonly Point[]
  readonly domain?: readonly [number, number]
  readonly children: ComponentChildren
}

function Tile({ name, value, testId, line, domain, children }: TileProps) {
  const isMissing = value === format.notReported
  return (
    <div class="card tile">
      <h2>{name}</h2>
      <p class={isMissing ? 'value missing' : 'value'} data-testid={testId}>
        {value}
      </p>
      <p class="quiet">{children}</p>
      {line !== undefined && line.length > 1 && (
        <SparklineView points={line} domain={domain ?? domainOf(line)} spanMs={900_000} name={`${name}, 15 minutes`} />
      )}
    </div>
  )
}

/** A sum from 0, so that its line is not made to look wilder than it is. */
function domainOf(points: readonly Point[]): [number, number] {
  return [0, Math.max(1, ...points.flatMap(({ value }) => value ?? [])) * 1.1]
}

function partText(of: number, gpus: number): string {
  return of >= gpus ? 'of all GPUs' : of === 0 ? '' : `of the ${format.count(of)} that report it`
}
