/** `penstock up` as a command. */

import { command, type Command } from '../command.ts'
import { roleTables, upSettings } from './settings.ts'
import { up } from './up.ts'

export function upCommand(): Command {
  return command({
    name: 'up',
    about: `Starts every role as its own process on this machine, keeps them running, and stops them all with
Ctrl-C. With --csv it reads the files once and keeps serving; without anything to read it streams
a demo fleet, into a data folder of its own (DATA_DIR/demo).

When every row is settled it prints, on standard output, what has become of them:
read 2470, stored 2470, dead-lettered 0
The logs of the roles and the progress go to standard error.
`,
    more: `Settings of the roles are taken, too, such as --visibility-timeout 5s, and handed on:
penstock broker --help, penstock streamer --help, penstock collector --help.

  penstock up                                    a demo fleet
  penstock up --csv metrics.csv --csv more/      files and folders, then keep serving
  penstock up --csv metrics.csv.gz --once        settle every row, then end
  penstock up --csv metrics.csv --loop --rate 1000
  penstock up --csv metrics.csv --speed 60 --times now
  nvidia-smi … -l 1 | penstock up --csv -        what comes by standard input
`,
    settings: upSettings,
    alsoTakes: Object.assign({}, ...Object.values(roleTables)) as typeof roleTables.broker,
    run: (settings, io, { flags }) => up(settings, io, flags),
  })
}
