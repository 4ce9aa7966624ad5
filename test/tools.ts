/**
 * Programs outside node_modules that some tests need. Where one is absent those tests skip, and `npm test` says so in one
 * line, because a test that does not run must be seen. CI installs them all (.ci/run).
 */

import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

export interface Tool {
  /** The command. */
  readonly name: string
  /** What does not run without it. */
  readonly skipped: string
}

export const tools = {
  npm: { name: 'npm', skipped: 'packing and installing the package (test/pack.proc.test.ts)' },
  curl: { name: 'curl', skipped: 'the lines of docs/API.md (test/api.proc.test.ts)' },
  chromium: {
    name: 'chromium',
    skipped: 'the pages in a browser (test/browser.proc.test.ts, api/swagger.proc.test.ts)',
  },
  strace: { name: 'strace', skipped: 'a disk that fails to sync (test/disk.proc.test.ts)' },
} as const satisfies Record<string, Tool>

/** tap's `skip` option: a reason when the tool is absent, else false. */
export function skipWithout(tool: Tool): string | false {
  return isInstalled(tool) ? false : `${tool.name} is not installed`
}

export function missingTools(): Tool[] {
  return Object.values(tools).filter((tool) => !isInstalled(tool))
}

function isInstalled(tool: Tool): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, tool.name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
