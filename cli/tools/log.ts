/** `penstock log check|dump|repair`: the files of a broker that is stopped. */

import { didYouMean, UsageError } from '../args.ts'
import type { Command } from '../command.ts'
import { check } from './log_check.ts'
import { dump } from './log_dump.ts'
import { repair } from './log_repair.ts'

const parts: Readonly<Record<string, Command>> = { check, dump, repair }

export const log: Command = {
  help: `penstock log check|dump|repair [flags] [DATA_DIR]

The log files of a broker that is stopped. DATA_DIR is that of a broker, or a folder in which several are.

  penstock log check   says what is damaged, where, and which records are lost
  penstock log dump    prints the records of one partition, past all damage
  penstock log repair  keeps what is sound, and the damaged file beside it

penstock log check --help shows the settings.
`,
  async run(argv, io) {
    const [name = '--help', ...rest] = argv
    if (name === '--help' || name === '-h') {
      io.stdout.write(log.help)
      return 0
    }
    const part = Object.hasOwn(parts, name) ? parts[name] : undefined
    if (part !== undefined) return part.run(rest, io)
    const known = Object.keys(parts)
    throw new UsageError([`want ${known.join(', ')}, not ${JSON.stringify(name)}${didYouMean(name, known)}`])
  },
}
