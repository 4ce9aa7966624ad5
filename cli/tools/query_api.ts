/** `penstock query PATH`: any question of the API, for a person or a script. */

import { contract } from '#api/contract'
import { setting, type Settings } from '#lib/settings'
import { didYouMean, UsageError } from '../args.ts'
import type { Io } from '../command.ts'
import { printable } from '../table.ts'
import { answerText, moreOf } from './answer.ts'
import { explainedApi, reachSettings, transportTo } from './api.ts'

const prefix = '/api/v1/'

export const apiSettings = {
  ...reachSettings,
  apiKey: setting.text('API_KEY', { help: 'a key of it, where it wants one', secret: true }),
  format: setting.choice('FORMAT', {
    help: 'how the API answers: a table with charts, or as it sends it',
    values: ['table', 'json', 'csv', 'ndjson'],
    default: 'table',
  }),
}

const types = { table: 'application/json', json: 'application/json', csv: 'text/csv', ndjson: 'application/x-ndjson' }

/** The questions that can be asked, as the help lists them. */
export const questions: readonly { readonly path: string; readonly summary: string }[] = Object.values(contract)
  .filter((row) => row.method === 'GET' && row.path.startsWith(prefix) && !('events' in row))
  .map(({ path, summary }) => ({ path: path.slice(prefix.length), summary }))

/**
 * Asks, and prints the answer.
 *
 * @param words a path under `/api/v1/`, then `name=value` for each parameter
 * @returns the exit status
 * @throws UsageError for a path that there is not; Error that says what to do when there is no API, or it wants a key
 */
export async function queryApi(
  { apiKey, format, ...reach }: Settings<typeof apiSettings>,
  words: readonly string[],
  io: Io,
): Promise<number> {
  const [path = '', ...parameters] = words
  const question = pathOf(path)
  const given = new URLSearchParams(parameters.map(parameterOf))
  const search = given.size === 0 ? '' : `?${given.toString()}`
  // Of several keys, as the API itself is given them, any will do.
  const transport = await transportTo(reach, apiKey?.split(',', 1)[0], io)
  try {
    const answer = await transport.open(`${prefix}${question}${search}`, {
      headers: { accept: types[format] },
      signal: io.signal,
    })
    if (format === 'table') print(JSON.parse(await answer.text()) as Record<string, unknown>, io)
    else io.stdout.write(ended(await answer.text()))
    return 0
  } catch (error) {
    const { apiUrl } = reach
    throw explainedApi(error, apiUrl, (detail) => `${apiUrl}: ${detail}; set API_KEY, or give one with --api-key`)
  }
}

function print(answer: Record<string, unknown>, io: Io): void {
  const text = answerText(answer)
  io.stdout.write(text)
  if (text === '') io.stderr.write('nothing fits\n')
  const more = moreOf(answer)
  if (more !== undefined) io.stderr.write(`${printable(more)}\n`)
}

/** @throws UsageError */
function pathOf(given: string): string {
  const path = given.replace(/^\/?(api\/v1\/)?/, '')
  const parts = path.split('/')
  const isAt = (known: string): boolean => {
    const own = known.split('/')
    return own.length === parts.length && own.every((part, at) => part === parts[at] || part.startsWith('{'))
  }
  if (questions.some((each) => isAt(each.path))) return parts.map(encodeURIComponent).join('/')
  const known = questions.map((each) => each.path)
  throw new UsageError([
    `there is no ${JSON.stringify(path)} to ask for${didYouMean(path, known)}: want one of ${known.join(', ')}`,
  ])
}

/** @throws UsageError */
function parameterOf(word: string): [name: string, value: string] {
  const at = word.indexOf('=')
  if (at < 1) throw new UsageError([`${JSON.stringify(word)} is no parameter: want name=value, such as window=1m`])
  return [word.slice(0, at), word.slice(at + 1)]
}

function ended(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`
}
