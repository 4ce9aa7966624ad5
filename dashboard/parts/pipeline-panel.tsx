/** The way of a record, part by part: what is up, what flows, what waits. */

import type { ComponentChildren } from 'preact'
import type { Pipeline } from '#api/contract'
import * as format from '../model/format.ts'
import { brokerName, progressOf, sourceText } from '../model/pipeline.ts'
import type { State } from '../state.ts'
import { type Sign, SignIcon } from './icons.tsx'

export function PipelinePanel({ state }: { state: State }) {
  const { pipeline, flow, pipelineError } = state
  if (pipeline === undefined) {
    return (
      <section class="card" aria-labelledby="pipeline-title">
        <h2 id="pipeline-title">Pipeline</h2>
        <p class="quiet">{pipelineError ?? 'asking …'}</p>
      </section>
    )
  }
  const { streamer, proxy, brokers, collector, store, totals, topics } = pipeline
  const progress = progressOf(pipeline)
  // While it is away its account is not known, and no zero.
  const isTold = store.error === null
  return (
    <section class="card pipeline" aria-labelledby="pipeline-title" data-testid="pipeline">
      <div class="head">
        <h2 id="pipeline-title">Pipeline</h2>
        <dl class="sums">
          <Sum name="stored" value={isTold ? totals.stored : undefined} />
          <Sum name="pending" value={totals.pending} />
          <Sum name="lag" value={totals.lag} />
          <Sum name="dead" value={isTold ? totals.dead : undefined} isBad={totals.dead > 0} />
        </dl>
      </div>
      <ol class="flow">
        {streamer !== null && (
          <Part name="Streamer" part={streamer}>
            <span class="cut" title={sourceText(pipeline)}>
              {sourceText(pipeline)}
            </span>
            {format.count(streamer.read)} rows{progress === undefined ? '' : `, ${progress.toFixed(0)} %`}
            {streamer.done && ', done'}
          </Part>
        )}
        {proxy !== null && (
          <Part name="Proxy" part={proxy}>
            {flow.produced === undefined ? '' : `${format.rate(flow.produced)} in`}
          </Part>
        )}
        <li class="group">
          <ul>
            {brokers.map((broker) => (
              <Part key={broker.url} name={brokerName(broker)} part={broker}>
                {broker.uptime_s === null ? '' : `up ${format.duration(broker.uptime_s * 1000)}`}
              </Part>
            ))}
          </ul>
        </li>
        {collector !== null && (
          <Part name="Collector" part={collector}>
            {flow.settled === undefined ? '' : `${format.rate(flow.settled)} settled`}
            <br />
            {format.count(collector.pending)} in hand
          </Part>
        )}
        <Part name="Store" part={store}>
          {isTold && (
            <>
              {format.count(store.stored)} values
              <br />
              {format.count(store.not_reported)} not reported
            </>
          )}
          {store.bytes !== null && `, ${format.bytes(store.bytes)}`}
        </Part>
      </ol>
      <Topics topics={topics} />
    </section>
  )
}

const signs: Readonly<Record<string, Sign>> = { up: 'good', starting: 'warn', draining: 'warn', down: 'bad' }

interface PartProps {
  readonly name: string
  readonly part: { readonly state: string; readonly error: string | null }
  readonly children: ComponentChildren
}

function Part({ name, part, children }: PartProps) {
  return (
    <li class={`part ${part.state}`} title={part.error ?? undefined}>
      <h3>
        <SignIcon sign={signs[part.state] ?? 'idle'} />
        {name}
        <span class={part.state === 'up' ? 'hidden' : 'tag'}>{part.state}</span>
      </h3>
      <p class="quiet">{children}</p>
    </li>
  )
}

function Sum({ name, value, isBad = false }: { name: string; value: number | undefined; isBad?: boolean }) {
  return (
    <div class={isBad ? 'bad' : ''}>
      <dt>{name}</dt>
      <dd data-testid={`sum-${name}`}>{value === undefined ? '–' : format.count(value)}</dd>
    </div>
  )
}

function ageText(seconds: number | null): string {
  return seconds === null ? '–' : format.duration(seconds * 1000)
}

function Topics({ topics }: Pick<Pipeline, 'topics'>) {
  if (topics.length === 0) return <p class="quiet">No broker tells of its topics now.</p>
  return (
    <div class="table-box">
      <table>
        <thead>
          <tr>
            <th scope="col">Topic and group</th>
            <th scope="col" class="number">
              Records
            </th>
            <th scope="col" class="number">
              Lag
            </th>
            <th scope="col" class="number middle">
              In flight
            </th>
            <th scope="col" class="number middle">
              Oldest
            </th>
            <th scope="col" class="number">
              Dead
            </th>
          </tr>
        </thead>
        <tbody>
          {topics.flatMap((topic) => {
            const groups = topic.groups.length === 0 ? [undefined] : topic.groups
            return groups.map((group) => (
              <tr key={`${topic.name} ${group?.name}`}>
                <th scope="row">
                  {topic.name} <span class="quiet">{group?.name ?? 'no group'}</span>
                </th>
                <td class="number">{format.count(topic.records)}</td>
                <td class="number">{group === undefined ? '–' : format.count(group.lag)}</td>
                <td class="number middle">{group === undefined ? '–' : format.count(group.in_flight)}</td>
                <td class="number middle">{ageText(group?.oldest_unacknowledged_s ?? null)}</td>
                <td class="number">{format.count(topic.dead)}</td>
              </tr>
            ))
          })}
        </tbody>
      </table>
    </div>
  )
}
