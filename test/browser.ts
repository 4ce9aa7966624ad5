/** A browser for tests and for the picture in the README: Debian's Chromium, found in PATH. */

import { delimiter, join } from 'node:path'
import { accessSync, constants } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import type { Scope } from './start.ts'

/** Nothing of it may leave this machine, and root may start it. */
const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export interface PageOptions {
  readonly width?: number
  readonly height?: number
  readonly colours?: 'light' | 'dark'
}

export interface TestBrowser {
  /** A page of its own, with what went wrong in it. */
  page(options?: PageOptions): Promise<TestPage>
}

export interface TestPage {
  readonly page: Page
  /** Where it sent requests to: origins. */
  readonly origins: ReadonlySet<string>
  /** Errors that nothing caught, and what the page may not do by its own policy. */
  readonly errors: readonly string[]
}

/** The profile is new, and goes with the browser. */
export async function openBrowser(t: Scope): Promise<TestBrowser> {
  const browser: Browser = await chromium.launch({ executablePath: pathOf('chromium'), args: flags })
  t.teardown(() => browser.close())
  return {
    async page({ width = 1440, height = 900, colours = 'dark' } = {}) {
      const page = await browser.newPage({ viewport: { width, height }, colorScheme: colours })
      const origins = new Set<string>()
      const errors: string[] = []
      page.on('request', (request) => {
        const { protocol, origin } = new URL(request.url())
        if (protocol.startsWith('http')) origins.add(origin)
      })
      page.on('pageerror', (error) => errors.push(error.message))
      page.on('console', (message) => {
        if (message.type() === 'error' && message.text().includes('Content Security Policy'))
          errors.push(message.text())
      })
      page.setDefaultTimeout(90_000)
      return { page, origins, errors }
    },
  }
}

function pathOf(command: string): string {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, command)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // In the next folder.
    }
  }
  throw new Error(`${command} is not installed`)
}
