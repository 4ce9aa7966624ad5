/** The report of a run, as Markdown and as one HTML file that needs nothing else. Pure. */

import type { Sum } from './account.ts'
import { perSecond, questions, secondsOf, works, type Profile, type Work } from './profiles.ts'

/** The summary that k6 exports: a metric's figures by name, and of each threshold whether it was crossed. */
export interface Summary {
  readonly metrics: Readonly<Record<string, Metric>>
}

type Metric = Readonly<Record<string, number | Readonly<Record<string, boolean>>>>

export interface Run {
  readonly name: string
  readonly profile: Profile
  readonly chosen: readonly Work[]
  /** When it began: RFC 3339. */
  readonly startedAt: string
  readonly machine: string
  readonly summary: Summary
  readonly sum: Sum
}

/** A report: a heading, then paragraphs and tables in order. */
type Block =
  | { readonly text: string }
  | { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] }

interface Report {
  readonly title: string
  readonly verdict: string
  readonly sections: readonly { readonly title: string; readonly blocks: readonly Block[] }[]
}

/** Whether all thresholds held and the sum is right. */
export function isGood({ summary, sum }: Run): boolean {
  return sum.findings.length === 0 && crossed(summary).length === 0
}

/** Figure of a metric; 0 where nothing was counted. */
export function figure({ metrics }: Summary, metric: string, name: string): number {
  const value = metrics[metric]?.[name]
  return typeof value === 'number' ? value : 0
}

export function markdownOf(run: Run): string {
  const { title, verdict, sections } = reportOf(run)
  const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
    [head, head.map((_, at) => (at === 0 ? '---' : '---:')), ...rows].map((row) => `| ${row.join(' | ')} |\n`).join('')
  const body = sections.map(({ title, blocks }) => {
    const parts = blocks.map((block) => ('text' in block ? `${block.text}\n` : table(block.head, block.rows)))
    return `## ${title}\n\n${parts.join('\n')}`
  })
  return `# ${title}\n\n**${verdict}**\n\n${body.join('\n')}`
}

export function htmlOf(run: Run): string {
  const { title, verdict, sections } = reportOf(run)
  const cells = (tag: string, row: readonly string[]): string =>
    `<tr>${row.map((cell) => `<${tag}${isFigure(cell) ? ' class="figure"' : ''}>${escaped(cell)}</${tag}>`).join('')}</tr>`
  const body = sections.map(({ title, blocks }) => {
    const parts = blocks.map((block) =>
      'text' in block
        ? `<p>${escaped(block.text)}</p>`
        : `<table><thead>${cells('th', block.head)}</thead><tbody>${block.rows.map((row) => cells('td', row)).join('\n')}</tbody></table>`,
    )
    return `<h2>${escaped(title)}</h2>\n${parts.join('\n')}`
  })
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(title)}</title>
<style>
  :root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
  body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
  table { border-collapse: collapse; margin: 1rem 0; }
  th, td { padding: 0.25rem 0.75rem; border-bottom: 1px solid #8884; text-align: left; }
  .figure { text-align: right; font-variant-numeric: tabular-nums; }
  .verdict { padding: 0.5rem 1rem; border-left: 0.4rem solid ${isGood(run) ? '#2a7' : '#c33'}; font-weight: 600; }
</style>
<h1>${escaped(title)}</h1>
<p class="verdict">${escaped(verdict)}</p>
${body.join('\n')}
</html>
`
}

/** The sum in one line, as the command prints it last. */
export function lineOf({ acknowledged, stored, refused, unanswered, duplicate, dead, pending, lost }: Sum): string {
  const rest = { refused, unanswered, duplicate, 'dead-lettered': dead, pending }
  const more = Object.entries(rest).map(([name, value]) => `${name} ${whole(value)}`)
  return `acknowledged ${whole(acknowledged)}, stored ${whole(stored)}, lost ${whole(lost)} (${more.join(', ')})`
}

function reportOf(run: Run): Report {
  const { name, profile, chosen, startedAt, machine, summary, sum } = run
  const bad = crossed(summary)
  // All of them stand in their own table: a verdict is read in a line.
  const slow = bad.length > 3 ? [`${bad.length} thresholds were crossed`] : bad.map((each) => `threshold ${each}`)
  const verdict = isGood(run)
    ? `passed: ${lineOf(sum)}`
    : `FAILED: ${[...sum.findings, ...slow, lineOf(sum)].join('; ')}`
  return {
    title: `Load test: ${name}`,
    verdict,
    sections: [
      {
        title: 'What was done',
        blocks: [
          {
            text: `Profile ${name}: ${profile.about}. This run: ${secondsOf(profile)} s from ${startedAt} on ${machine}; k6 on the same machine.`,
          },
          {
            head: ['work', 'what', 'requests/s at level 1'],
            rows: chosen.map((work) => [work, works[work], String(perSecond[work])]),
          },
          { text: `Levels: ${profile.stages.map(({ level, seconds }) => `${level} in ${seconds} s`).join(', ')}.` },
        ],
      },
      {
        title: 'The sum',
        blocks: [
          {
            head: ['records', 'count'],
            rows: [
              ['offered', sum.offered],
              ['acknowledged', sum.acknowledged],
              ['refused', sum.refused],
              ['without an answer', sum.unanswered],
              ['in the logs', sum.logged],
              ['stored', sum.stored],
              ['duplicate', sum.duplicate],
              ['not reported', sum.notReported],
              ['dead-lettered', sum.dead],
              ['pending', sum.pending],
              ['lost', sum.lost],
              ['pulled and acknowledged by a group', sum.consumed],
            ].map(([what, count]) => [String(what), whole(Number(count))]),
          },
          { text: sum.findings.length === 0 ? 'Broker, collector and store agree.' : sum.findings.join('; ') },
        ],
      },
      {
        title: 'Latency',
        blocks: [
          {
            head: ['work', 'requests', 'refused', 'median ms', 'p95 ms', 'p99 ms', 'max ms'],
            rows: [
              ...chosen.map((work) => latencyOf(summary, work, `work:${work}`)),
              ...(chosen.includes('query')
                ? questions.map((question) => latencyOf(summary, `query: ${question}`, `question:${question}`))
                : []),
            ],
          },
          {
            text: `${whole(figure(summary, 'dropped_iterations', 'count'))} more requests were due and not sent, because all of k6's users waited for answers.`,
          },
          {
            text: 'Refused is what was answered with Retry-After (429, and 503 of an API that is asked too much): no failure, and quick, so that many of them flatter a latency.',
          },
        ],
      },
      {
        title: 'Thresholds',
        blocks: [
          {
            head: ['metric', 'bound', 'held'],
            rows: thresholdsIn(summary)
              // Those of questions are there for their figures alone.
              .filter(({ metric }) => !metric.includes('{question:'))
              .toSorted(
                (one, other) => Number(other.wasCrossed) - Number(one.wasCrossed) || compare(one.metric, other.metric),
              )
              .map(({ metric, bound, wasCrossed }) => [metric, bound, wasCrossed ? 'NO' : 'yes']),
          },
        ],
      },
    ],
  }
}

/** A row of the table of latencies. k6 counts requests by work; of a question the count is not exported. */
function latencyOf(summary: Summary, name: string, tag: string): string[] {
  const of = (part: string): string => figure(summary, `http_req_duration{${tag}}`, part).toFixed(1)
  const requests = tag.startsWith('work:') ? whole(figure(summary, `http_reqs{${tag}}`, 'count')) : ''
  const refused = tag.startsWith('work:') ? whole(figure(summary, `requests_refused{${tag}}`, 'passes')) : ''
  return [name, requests, refused, of('med'), of('p(95)'), of('p(99)'), of('max')]
}

/** `metric: bound` of each threshold that did not hold. */
function crossed(summary: Summary): string[] {
  return thresholdsIn(summary)
    .filter(({ wasCrossed }) => wasCrossed)
    .map(({ metric, bound }) => `${metric}: ${bound}`)
}

function thresholdsIn({ metrics }: Summary): { metric: string; bound: string; wasCrossed: boolean }[] {
  return Object.entries(metrics).flatMap(([metric, { thresholds = {} }]) =>
    // k6 exports whether it was crossed.
    Object.entries(thresholds as Record<string, boolean>).map(([bound, wasCrossed]) => ({ metric, bound, wasCrossed })),
  )
}

/** A cell that is a number, or the head of such: `p95 ms`, `count`, `requests`. */
function isFigure(cell: string): boolean {
  return /^[\d,.]+$|(^| )ms$|^count$|^requests|^refused$/.test(cell)
}

function compare(one: string, other: string): number {
  return one < other ? -1 : Number(one > other)
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
