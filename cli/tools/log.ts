/** `penstock log check|dump|repair`: the files of a broker that is stopped. */

import { commandOf } from '../command.ts'
import { check } from './log_check.ts'
import { dump } from './log_dump.ts'
import { repair } from './log_repair.ts'

export const log = commandOf(
  { check, dump, repair },
  `penstock log check|dump|repair [flags] [DATA_DIR]

The log files of a broker that is stopped. DATA_DIR is that of a broker, or a folder in which several are.

  penstock log check   says what is damaged, where, and which records are lost
  penstock log dump    prints the records of one partition, past all damage
  penstock log repair  keeps what is sound, and the damaged file beside it

penstock log check --help shows the settings.
`,
)
