/** Where the values come from, how old they are, and whether the page still hears of new ones. */

import * as format from '../model/format.ts'
import { type Link, progressOf, sourceText, type Upstream } from '../model/pipeline.ts'
import type { Totals } from '../model/totals.ts'
import type { PartProps } from '../app.tsx'
import { Logo, type Sign, SignIcon } from './icons.tsx'

export function Header({ state, actions, totals }: PartProps & { totals: Totals }) {
  const { pipeline, nowMs, link, upstream, themeChoice } = state
  const { sign, text, title } = linkText(link, upstream, nowMs)
  const progress = pipeline === undefined ? undefined : progressOf(pipeline)
  return (
    <header class="top">
      <h1>
        <Logo /> Penstock
      </h1>
      <dl class="facts">
        <div>
          <dt>Source</dt>
          <dd>
            {pipeline === undefined ? '…' : sourceText(pipeline)}
            {progress !== undefined && progress < 100 && <span class="quiet"> {progress.toFixed(0)} % read</span>}
          </dd>
        </div>
        <div>
          <dt>Newest value</dt>
          <dd class={totals.allStale ? 'old' : ''} data-testid="age">
            {totals.newestMs === undefined ? 'none yet' : ageText(totals, totals.newestMs, nowMs)}
          </dd>
        </div>
      </dl>
      <p class={`link ${sign}`} role="status" title={title} data-testid="link">
        <SignIcon sign={sign} />
        {text}
      </p>
      <nav aria-label="More">
        <a href="/swagger/">API</a>
        <button type="button" onClick={() => actions.nextTheme()} title="Colours: as the system, light, or dark">
          {{ system: 'Auto', light: 'Light', dark: 'Dark' }[themeChoice]}
          <span class="hidden"> colours</span>
        </button>
        <button type="button" onClick={() => actions.forgetKey()} title="Forget the key of this tab">
          Leave
        </button>
      </nav>
    </header>
  )
}

function ageText(totals: Totals, newestMs: number, nowMs: number) {
  const age = format.ago(nowMs - newestMs)
  return (
    <time dateTime={new Date(newestMs).toISOString()} title={format.moment(newestMs)}>
      {age}
      {totals.allStale && ' (stale)'}
    </time>
  )
}

function linkText(
  link: Link,
  upstream: Upstream | undefined,
  nowMs: number,
): { sign: Sign; text: string; title: string } {
  if (link.state === 'connecting') return { sign: 'idle', text: 'Connecting', title: 'Opening the live stream' }
  if (link.state === 'waiting') {
    const since = format.duration(nowMs - link.sinceMs)
    return { sign: 'bad', text: `Reconnecting, ${since}`, title: link.reason }
  }
  if (upstream !== undefined && !upstream.live) {
    return { sign: 'warn', text: 'Connected, no live records', title: upstream.reason ?? 'The API reaches no broker' }
  }
  return { sign: 'good', text: 'Live', title: 'Records come as they are made' }
}
