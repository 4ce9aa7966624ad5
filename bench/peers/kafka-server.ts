/** Kafka: a new node in a folder of its own, and the arguments of its tools. */

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

import { start, type Scope } from '#test/start'
import type { Started } from '#test/started'

import { kafkaFolder, listening } from './parts.ts'

/** 16 bytes in base64, as `kafka-storage random-uuid` makes them. */
const clusterId = 'MkU3OEVBNTcwNTJENDM2Qg'

/** What `java` is run with, before the class: the heap is that of Kafka's own scripts. */
export const kafkaJava = ['-Xms1G', '-Xmx1G', '-cp', join(kafkaFolder, '*')]

/** Formats the folder that the configuration names; what is returned starts the node there, and waits until it listens. */
export function kafkaIn(scope: Scope, properties: string, port: number): () => Promise<Started> {
  const format = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties]
  const formatted = spawnSync('java', [...kafkaJava, ...format], { encoding: 'utf8', timeout: 120_000 })
  if (formatted.status !== 0) throw new Error(`kafka-storage format: ${formatted.stdout}${formatted.stderr}`)
  return async () => {
    const started = start(scope, 'java', [...kafkaJava, 'kafka.Kafka', properties])
    await listening(started, port)
    return started
  }
}
