/** What the Prometheus of a release sees. */

import { type Figures, type Site, until } from './tools.ts'

interface Target {
  readonly health: string
  readonly scrapeUrl: string
  readonly lastError: string
  readonly labels: { readonly job: string }
}

interface Rule {
  readonly name: string
  readonly health: string
  readonly lastError?: string
}

/** Of every job somebody is there, and answers; every rule was evaluated. @throws Error naming what is not so */
export async function watched(site: Site, scheme: 'http' | 'https'): Promise<Figures> {
  const roles = ['api', 'broker', 'collector', 'proxy', 'streamer']
  const targets = await until('every target', 90, async () => {
    const { activeTargets } = await ask<{ activeTargets: readonly Target[] }>(site, 'targets?state=active')
    const down = activeTargets.filter(({ health }) => health !== 'up')
    if (down.length > 0)
      throw new Error(down.map((each) => `${each.scrapeUrl}: ${each.health} ${each.lastError}`).join('\n'))
    const jobs = new Set(activeTargets.map(({ labels }) => labels.job))
    return roles.every((role) => jobs.has(`penstock-${role}`)) ? activeTargets : undefined
  })
  const other = targets.find(({ scrapeUrl }) => !scrapeUrl.startsWith(`${scheme}:`))
  if (other !== undefined) throw new Error(`${other.scrapeUrl} is not asked by ${scheme}`)
  const rules = await until('every rule', 90, async () => {
    const { groups } = await ask<{ groups: readonly { readonly rules: readonly Rule[] }[] }>(site, 'rules')
    const all = groups.flatMap((group) => group.rules)
    const wrong = all.find(({ health }) => health !== 'ok')
    if (wrong !== undefined) throw new Error(`${wrong.name}: ${wrong.health} ${wrong.lastError ?? ''}`)
    return all.length > 0 ? all.length : undefined
  })
  return { 'targets up': targets.length, 'rules evaluated': rules }
}

/** By the API server: its Service takes nobody but Grafana. */
async function ask<Data>(site: Site, path: string): Promise<Data> {
  const service = `/api/v1/namespaces/${site.namespace}/services/prometheus-service:9090/proxy`
  const { data } = JSON.parse(await site.kubectl('get', '--raw', `${service}/api/v1/${path}`)) as { data: Data }
  return data
}
