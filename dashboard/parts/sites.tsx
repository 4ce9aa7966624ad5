/** Transfers by site: how much, how fast, how well. */

import * as format from '../model/format.ts'
import { siteRows } from '../model/sites.ts'
import type { State } from '../state.ts'
import { Bar } from './bar.tsx'

export function Sites({ state }: { state: State }) {
  const { sites } = state
  return (
    <section class="card" aria-labelledby="sites-title" data-testid="sites">
      <div class="head">
        <h2 id="sites-title">Transfers by site</h2>
      </div>
      {sites === undefined && <p class="quiet">asking …</p>}
      {sites?.length === 0 && (
        <p class="quiet">
          No transfer was seen yet: <code>npm start -- --csv transfers.csv</code> reads a log of them.
        </p>
      )}
      {sites !== undefined && sites.length > 0 && (
        <div class="table-box">
          <table>
            <thead>
              <tr>
                <th scope="col">Site</th>
                <th scope="col" class="number">
                  Moved
                </th>
                <th scope="col" class="number">
                  Rate
                </th>
                <th scope="col">Transfers</th>
                <th scope="col" class="number middle">
                  Last
                </th>
              </tr>
            </thead>
            <tbody>
              {siteRows(sites).map(({ site, succeeded, others, share }) => (
                <tr key={site.site}>
                  <th scope="row">{site.site}</th>
                  <td class="number">
                    {format.bytes(site.bytes)}
                    <Bar share={share} />
                  </td>
                  <td class="number">
                    {site.throughput_bytes_per_s === null ? (
                      <span class="missing">{format.notReported}</span>
                    ) : (
                      `${format.bytes(site.throughput_bytes_per_s)}/s`
                    )}
                  </td>
                  <td>
                    <span class="split" aria-hidden="true">
                      <span class="well" style={{ flexGrow: succeeded }} />
                      <span class="ill" style={{ flexGrow: site.transfers - succeeded }} />
                    </span>
                    {format.count(succeeded)} well
                    {others.map(({ status, transfers }) => (
                      <span key={status} class="ill-text">
                        , {format.count(transfers)} {status}
                      </span>
                    ))}
                  </td>
                  <td class="number middle">{format.ago(state.nowMs - Date.parse(site.last))}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}
