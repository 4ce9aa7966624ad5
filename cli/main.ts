/** `penstock`: finds the command, runs it, and turns what it throws into lines and an exit status. */

import { headBytesVariable } from '#lib/http/uws-api'
import { SettingsError } from '#lib/settings'
import { version } from '#lib/version'
import { didYouMean, UsageError } from './args.ts'
import type { Io } from './command.ts'
import { commands } from './commands.ts'
import { standardInput } from './input.ts'
import { isSupervised, stopSignal } from './stop.ts'
import { printable } from './table.ts'

/** Exit status of a command line or a setting that is wrong: a supervisor must not try again. */
const statusOfUsage = 2

/** What may still be open when a command is done, such as idle connections, must not keep the process. */
const lingerMsMax = 2_000

// A reader that has seen enough (`penstock tail | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

// Before any role loads it; a person's own value stays.
process.env[headBytesVariable.name] ??= headBytesVariable.value

process.exitCode = await main(process.argv.slice(2))
setTimeout(() => process.exit(), lingerMsMax).unref()

async function main(argv: readonly string[]): Promise<number> {
  const [name = 'help', ...rest] = argv
  if (name === '--version' || name === '-v' || name === 'version') return print(`${version}\n`)
  if (name === 'help' || name === '--help' || name === '-h') return help(rest[0])
  const row = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (row === undefined) {
    const what = name.startsWith('-') ? 'flag' : 'command'
    return complain(
      'penstock',
      [`unknown ${what} ${JSON.stringify(name)}${didYouMean(name, Object.keys(commands))}`],
      '',
    )
  }
  const label = `penstock ${name}`
  try {
    const command = await row.load()
    return await command.run(rest, ioOfThisProcess())
  } catch (error) {
    if (error instanceof UsageError || error instanceof SettingsError) return complain(label, error.lines, ` ${name}`)
    process.stderr.write(`${label}: ${messageOf(error)}\n`)
    return 1
  }
}

async function help(name: string | undefined): Promise<number> {
  if (name === undefined) return print(overview())
  const row = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (row !== undefined) return print((await row.load()).help)
  return complain('penstock', [`unknown command ${JSON.stringify(name)}${didYouMean(name, Object.keys(commands))}`], '')
}

function overview(): string {
  const width = Math.max(...Object.keys(commands).map((name) => name.length))
  return `penstock ${version}: GPU and data-transfer telemetry, from where it is made to where it is asked for

  penstock up                       everything on this machine, with a demo fleet
  penstock up --csv FILE            the same with the rows of a file

${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}\n`)
  .join('')}
penstock COMMAND --help shows the settings of a command. Each setting is a flag and a variable:
--queue-size 5, QUEUE_SIZE=5 and PENSTOCK_QUEUE_SIZE=5 say the same.
`
}

function print(text: string): number {
  process.stdout.write(text)
  return 0
}

function complain(label: string, lines: readonly string[], command: string): number {
  for (const line of lines) process.stderr.write(`${label}: ${printable(line)}\n`)
  process.stderr.write(`see penstock${command} --help\n`)
  return statusOfUsage
}

/** One line for the operator; the stack only of what is an error of ours. A server's words may be in it: a terminal obeys nothing of it. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return printable(String(error))
  const isOurs = error instanceof TypeError || error instanceof ReferenceError || error.name === 'AssertionError'
  if (!isOurs || error.stack === undefined) return printable(error.message)
  return error.stack.split('\n').map(printable).join('\n')
}

function ioOfThisProcess(): Io {
  const { env, stdout, stderr } = process
  return {
    env,
    // Not touched before somebody asks: a process that is started from here may read it instead.
    get stdin() {
      return standardInput()
    },
    stdout,
    stderr,
    signal: stopSignal(),
    isSupervised: isSupervised(),
  }
}
