/** What `GET /status` of a broker or proxy tells: members, disk, groups, dead letters. */

import { deadSuffix } from '#wire/ids'
import type { GroupStatus, MemberStatus, QueueStatus, TopicStatus } from '#wire/status'
import { formatNumber } from '../table.ts'
import { countOf, type Finding, findingsOf, spanOf } from './finding.ts'

const { ok, warning, problem } = findingsOf('broker')

/** A record that has waited so long waits for nobody who works. */
const waitingSMax = 300

/** @param own the version of this program */
export function judgeStatus(where: string, status: QueueStatus, own: string): Finding[] {
  const { role, version, members = [], topics = {} } = status
  const troubles = [
    ...(version === own
      ? []
      : [
          warning(
            `${where} is version ${version}, this is ${own}`,
            'finish the upgrade, or run the doctor of that version',
          ),
        ]),
    ...(status.disk?.full === undefined
      ? []
      : [problem(`${where}: ${status.disk.full}`, 'make its volume larger, or let groups acknowledge (penstock lag)')]),
    ...(status.draining === true
      ? [
          warning(
            `${where} is being emptied, and takes no records`,
            `penstock drain ${status.broker} --undo takes it back`,
          ),
        ]
      : []),
    ...members.flatMap(judgeMember),
    ...Object.entries(topics).flatMap(([name, topic]) => judgeTopic(name, topic)),
  ]
  if (troubles.length > 0) return troubles
  const ring = status.ring === undefined ? '' : `, ring ${status.ring} of ${countOf(members.length, 'broker')}, all up`
  const told = status.topics === undefined ? '' : `; ${countOf(Object.keys(topics).length, 'topic')}`
  return [ok(`${where}: a ${role} of version ${version}${ring}${told}`)]
}

function judgeMember({ broker, url, state, writable, draining, reason = '' }: MemberStatus): Finding[] {
  const name = `broker ${broker ?? '?'} (${url})`
  const why = reason === '' ? '' : `: ${reason}`
  if (state !== 'up' && state !== 'draining') {
    return [problem(`${name} is ${state}${why}`, 'start it on its volume; its log says why it ended')]
  }
  if (draining) return [warning(`${name} is being emptied`, `penstock drain ${broker} --undo takes it back`)]
  return writable ? [] : [problem(`${name} takes no records${why}`, `look at its disk: GET ${url}/status`)]
}

function judgeTopic(name: string, { produced, missing = {}, open = 0, groups }: TopicStatus): Finding[] {
  const all = Object.entries(groups)
  const lost = Object.entries(missing).filter(([, count]) => count > 0)
  // Dead letters are read by hand.
  const isDead = name.endsWith(deadSuffix)
  return [
    ...(isDead && open > 0
      ? [
          warning(
            `${name}: ${formatNumber(open)} dead letters that nobody has dealt with`,
            `penstock dead list ${name.slice(0, -deadSuffix.length)} says why they are there`,
          ),
        ]
      : []),
    ...(!isDead && all.length === 0 && produced > 0
      ? [
          warning(
            `${name} has records, and no group reads it`,
            'start a collector, or see that its MSG_QUEUE_ADDR is right',
          ),
        ]
      : []),
    ...(lost.length === 0
      ? []
      : [
          warning(
            `${name}: records are missing (${lost.map(([why, count]) => `${why} ${formatNumber(count)}`).join(', ')})`,
            'docs/RELIABILITY.md says what each reason means; penstock audit counts',
          ),
        ]),
    ...all.flatMap(([group, figures]) => judgeGroup(name, group, figures)),
  ]
}

function judgeGroup(topic: string, group: string, figures: GroupStatus): Finding[] {
  const { lag, consumers, lost = 0, oldest_unacknowledged_s: oldestS = 0, expires_in_s: expiresS } = figures
  const name = `group ${group} of ${topic}`
  const waits = oldestS > waitingSMax ? `, the oldest for ${spanOf(oldestS)}` : ''
  const expires = expiresS === undefined ? '' : `; it is forgotten in ${spanOf(expiresS)}`
  return [
    ...(lag > 0 && consumers === 0
      ? [
          warning(
            `nobody reads in ${name}: ${formatNumber(lag)} records wait${waits}${expires}`,
            `start its collector, or delete it: DELETE /topics/${topic}/groups/${group}`,
          ),
        ]
      : waits === ''
        ? []
        : [warning(`${name}: ${formatNumber(lag)} records wait${waits}`, 'look at its collector and the database')]),
    ...(lost > 0
      ? [
          warning(
            `${name}: ${formatNumber(lost)} records were removed for their age before it had them`,
            'penstock topics set TOPIC --retention-age: longer than the longest outage of the database',
          ),
        ]
      : []),
  ]
}
