import { test } from 'tap'
import { siteOf } from './samples.ts'
import { siteRows } from './sites.ts'

test('the busiest site first, its failures by name', (t) => {
  const rows = siteRows([
    siteOf({ site: 'SITE_A', bytes: 50, transfers: 10, statuses: { success: 6, timeout: 1, failed: 3 } }),
    siteOf({ site: 'SITE_B', bytes: 100, transfers: 2, statuses: { OK: 2 } }),
    siteOf({ site: 'SITE_C' }),
  ])
  t.strictSame(
    rows.map(({ site }) => site.site),
    ['SITE_B', 'SITE_A', 'SITE_C'],
  )
  t.match(rows[0], { succeeded: 2, share: 1, others: [] })
  t.match(rows[1], { succeeded: 6, share: 0.5, others: [{ status: 'failed', transfers: 3 }, { status: 'timeout' }] })
  t.equal(rows[2]?.share, 0)
  t.strictSame(siteRows([]), [])
  t.end()
})
