/** What the chart knows of the roles' settings: which it sets itself, and how the others stand in its values. */

import { roles, type RoleName } from '#cli/roles'
import { fileSettingOf, type SettingTable } from '#lib/settings'

/** The chart sets these, or has another value for them: they are no names under `env:`. */
const managed = new Set(
  `PORT HOST DATA_DIR LOG_LEVEL SERVICE_TOKEN API_KEY INFLUXDB_TOKEN BROKER_INDEX BROKER_SERVICE BROKER_COUNT BROKERS BROKER_PORT
   MSG_QUEUE_ADDR COLLECTOR_URL STREAMER_URL STORE INFLUXDB_URL INFLUXDB_ORG INFLUXDB_BUCKET
   TLS_CERT TLS_KEY TLS_CLIENT_CA TLS_CA TLS_CLIENT_CERT TLS_CLIENT_KEY`.split(/\s+/),
)

/** The part of the values that holds a role. */
export const valuesOf: Readonly<Record<RoleName, string>> = {
  broker: 'msgQueue',
  proxy: 'msgQueueProxy',
  streamer: 'streamer',
  collector: 'collector',
  api: 'api',
}

/** Every variable that a role reads. */
export async function variablesOf(role: RoleName): Promise<Set<string>> {
  const table = (await roles[role].settings()) as SettingTable
  return new Set(
    Object.values(table).flatMap((row) => [row.name, ...(row.secret === true ? [fileSettingOf(row).name] : [])]),
  )
}

/** The names that the schema of the values allows under `env:` of a role, in order. */
export async function envNamesOf(role: RoleName): Promise<string[]> {
  const table = (await roles[role].settings()) as SettingTable
  return Object.values(table)
    .map(({ name }) => name)
    .filter((name) => !managed.has(name))
    .map((name) => name.toLowerCase().replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()))
    .toSorted()
}
