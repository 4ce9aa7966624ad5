/** Where the programs of this folder lie, which of them are here, and their configuration filled in. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import type { Started } from '#test/started'
import { isInPath } from '#test/tools'

const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'penstock')

/** As README.md says. */
export const telegrafPath = join(cache, 'telegraf-1.39.3/telegraf')
export const kafkaFolder = join(cache, 'kafka-4.1.0')
export const perfTestFolder = join(cache, 'rabbitmq-perf-test-2.22.1')

/** Made by nats/build, of these sources and no others. */
export const natsFolder = join(cache, `nats-${natsHash()}`)

/** What of the programs, paths or commands, is not here. */
export function missingOf(needs: readonly string[]): string[] {
  return needs.filter((need) => !isInPath(need))
}

/** A configuration of this folder with its `${NAME}`s filled in, written to another folder; returns where it is. */
export async function configured(
  file: string,
  folder: string,
  values: Readonly<Record<string, string | number>>,
): Promise<string> {
  const template = await readFile(join(import.meta.dirname, file), 'utf8')
  const text = template.replaceAll(/\$\{([A-Z_]+)\}/g, (_, name: string) => {
    const value = values[name]
    if (value === undefined) throw new Error(`bench/peers/${file} asks for ${name}, which nobody gives`)
    return String(value)
  })
  const path = join(folder, file)
  await writeFile(path, text)
  return path
}

/** A folder in another one. */
export async function madeFolder(folder: string, name: string): Promise<string> {
  const path = join(folder, name)
  await mkdir(path, { recursive: true })
  return path
}

/** Waits until something listens there, for what does not say that it does. */
export async function listening(started: Started, port: number): Promise<void> {
  while (!(await isListening(port))) {
    if (started.hasExited()) throw new Error(`${started.name} ended:\n${started.tail()}`)
    await sleep(50)
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

function natsHash(): string {
  const hash = createHash('sha256')
  for (const file of ['go.mod', 'go.sum', 'main.go']) hash.update(readFileSync(join(import.meta.dirname, 'nats', file)))
  return hash.digest('hex').slice(0, 12)
}
