/** `docs/METRICS.md`, made from the registry: `npm run observability` writes it, a test holds it to the code. */

import { recorded } from './rulefiles.ts'
import { allMetrics, type Documented, metricsOf, onlyWithTls, roles } from './registry.ts'

/** Two of one name in two roles may mean two things: each says what it means there. */
function helpIn(role: string, name: string): string {
  return metricsOf(role).find((metric) => metric.name === name)?.help ?? ''
}

function row({ name, type, help, labels, buckets }: Documented): string {
  const range = buckets === undefined || type !== 'histogram' ? '' : ` (buckets ${buckets[0]} to ${buckets.at(-1)})`
  const of = labels.map((label) => `\`${label}\``).join(', ')
  return `| \`${name}\` | ${type}${range} | ${of} | ${help.replaceAll('|', '\\|')} |`
}

const head = '| name | type | labels | what it tells |\n| --- | --- | --- | --- |'

/** The whole file. */
export function metricsDocument(): string {
  const all = allMetrics()
  const ofAll = all.filter((metric) => metric.roles.length === roles.length && metric.name.startsWith('penstock_'))
  const runtime = all.filter(({ name }) => /^(nodejs|process)_/.test(name))
  const http = all.filter(({ name }) => name === 'http_requests_total')
  const sections = roles.map((role) => {
    const own = metricsOf(role)
      .filter(({ name }) => ![...ofAll, ...runtime, ...http].some((metric) => metric.name === name))
      .map((metric) => row({ ...metric, roles: [role], help: helpIn(role, metric.name) }))
    return `## ${role}\n\n${head}\n${own.join('\n')}\n`
  })
  return `# Metrics

Made from the code by \`npm run observability\`; do not edit it by hand. Every role serves \`GET /metrics\` in Prometheus' text
format, open to all who reach it. Each metric carries the label \`role\` beside those named here. No label is a URL, an id of a
record or a uuid of a GPU: routes are patterns, brokers are numbers, and what clients name (groups, sites) is held to a
bounded number of values, the rest being \`other\`. The values of GPUs are not here but at \`GET /metrics/gpus\` of the API, by DCGM's names
(\`docs/API.md\`). Rules, alerts and dashboards over all of it are in \`observability/\`, what to do about an alert in \`RUNBOOK.md\`.

Histograms are classic ones: the text format cannot carry native ones, and prom-client 15 has none.

## Every role

${head}
${[...http, ...ofAll].map(row).join('\n')}

\`${onlyWithTls.join('`, `')}\` is there only where the role listens by TLS.

${sections.join('\n')}
## Node.js, in every role

${head}
${runtime.map(row).join('\n')}

## Recorded

Computed by \`observability/rules/*.yml\`; there where Prometheus has loaded them.

| name | what it tells |
| --- | --- |
${recorded()
  .map(({ name, expr }) => `| \`${name}\` | \`${expr.replaceAll('|', '\\|')}\` |`)
  .join('\n')}
`
}
