/** `npm run observability`: writes what is made from the code, which tests hold to it. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { metricsDocument } from './document.ts'
import { dashboardFiles } from './grafana/all.ts'

const root = join(import.meta.dirname, '..')
const dashboards = join(import.meta.dirname, 'grafana/dashboards')

writeFileSync(join(root, 'docs/METRICS.md'), metricsDocument())
mkdirSync(dashboards, { recursive: true })
for (const [name, text] of dashboardFiles()) writeFileSync(join(dashboards, name), text)
