/** What a reader must know before the figures: that the fleet is made up, what is down, what is old. */

import * as format from '../model/format.ts'
import type { Trouble } from '../model/pipeline.ts'
import type { Totals } from '../model/totals.ts'
import type { State } from '../state.ts'
import { SignIcon } from './icons.tsx'

export function Banners({ state, troubles, totals }: { state: State; troubles: readonly Trouble[]; totals: Totals }) {
  const { pipeline, nowMs, recovered } = state
  const back = recovered.filter(({ untilMs }) => untilMs > nowMs)
  return (
    <div class="banners">
      {pipeline?.demo === true && (
        <p class="banner demo" data-testid="demo">
          <strong>Demo</strong> This fleet does not exist; its values are a model. Your own:{' '}
          <code>npm start -- --csv FILE</code>
        </p>
      )}
      {/* Always there: a region that appears together with its text is not read out. */}
      <div role="alert" data-testid="troubles">
        {troubles.map(({ id, level, title, text }) => (
          <p key={id} class={`banner ${level}`}>
            <SignIcon sign={level} />
            <span>
              <strong>{title}.</strong> {text}
            </span>
          </p>
        ))}
      </div>
      <div role="status" data-testid="recovered">
        {back.map(({ id, title, downMs }) => (
          <p key={id} class="banner good">
            <SignIcon sign="good" />
            <span>
              <strong>{title}.</strong> It was away for {format.duration(downMs)}.
            </span>
          </p>
        ))}
      </div>
      {totals.allStale && totals.newestMs !== undefined && (
        <p class="banner stale">
          <SignIcon sign="idle" />
          <span>
            <strong>Everything here is stale.</strong> The newest value is of {format.moment(totals.newestMs)},{' '}
            {format.ago(nowMs - totals.newestMs)}: a file that was read once looks like this, and so does a source that
            stopped.
          </span>
        </p>
      )}
    </div>
  )
}
