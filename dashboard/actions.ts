/** What a person can do on the page. */

import { gpuIn, hashOf, isPossibleKey, takeKey } from './model/key.ts'
import type { Focus } from './model/metrics.ts'
import type { Range } from './model/series.ts'
import { Session, type World } from './session.ts'
import type { Store, ThemeChoice } from './state.ts'

const keyName = 'penstock.key'
const themeName = 'penstock.theme'

export class Actions {
  readonly #store: Store
  readonly #world: World
  #session: Session | undefined

  constructor(store: Store, world: World) {
    this.#store = store
    this.#world = world
  }

  /** Takes the key out of the address, or the one of this tab, and begins. */
  start(): void {
    const dark = matchMedia('(prefers-color-scheme: dark)')
    dark.addEventListener('change', () => this.#applyTheme())
    this.#store.set({ themeChoice: themeOf(localStorage.getItem(themeName)) })
    this.#applyTheme()
    addEventListener('hashchange', () => this.#readAddress())
    this.#readAddress()
    if (this.#session === undefined) this.#open(sessionStorage.getItem(keyName) ?? undefined)
    setInterval(() => this.#store.set({ nowMs: this.#session?.nowMs() ?? Date.now() }), 1_000)
  }

  /** @returns why not, where the key cannot be one */
  submitKey(text: string): void {
    const key = text.trim()
    if (!isPossibleKey(key)) {
      this.#store.set({ keyProblem: 'A key has visible ASCII characters only, and no spaces.' })
      return
    }
    this.#useKey(key)
  }

  forgetKey(): void {
    sessionStorage.removeItem(keyName)
    this.#session?.end()
    this.#store.set({ phase: 'key', keyProblem: undefined })
  }

  pick(gpu: string): void {
    if (gpu === this.#store.state.picked) return
    this.#store.set({ picked: gpu, chart: undefined, chartError: undefined })
    history.replaceState(null, '', location.pathname + location.search + hashOf(gpu))
    this.#session?.chartChanged()
  }

  setFocus(focus: Focus): void {
    this.#store.set({ focus })
  }

  setRange(range: Range): void {
    this.#store.set({ range })
    this.#session?.chartChanged()
  }

  /** System, light, dark, and round again. */
  nextTheme(): void {
    const next = { system: 'light', light: 'dark', dark: 'system' } as const
    const themeChoice = next[this.#store.state.themeChoice]
    localStorage.setItem(themeName, themeChoice)
    this.#store.set({ themeChoice })
    this.#applyTheme()
  }

  wantHistories(gpus: readonly string[], focus: Focus): void {
    this.#session?.wantHistories(gpus, focus)
  }

  /** The GPU whose charts are shown until the user picks one. */
  pickFirst(gpu: string): void {
    if (this.#store.state.picked !== undefined) return
    this.#store.set({ picked: gpu })
    this.#session?.chartChanged()
  }

  #readAddress(): void {
    const { key, rest } = takeKey(location.hash)
    // Before anything else: the key stays neither in the address nor in the history.
    if (key !== undefined) history.replaceState(null, '', location.pathname + location.search + rest)
    const gpu = gpuIn(rest)
    if (gpu !== undefined) this.pick(gpu)
    if (key !== undefined && isPossibleKey(key)) this.#useKey(key)
  }

  #useKey(key: string): void {
    sessionStorage.setItem(keyName, key)
    this.#open(key)
  }

  #open(key: string | undefined): void {
    this.#session?.end()
    const session = new Session(this.#store, this.#world, key)
    this.#session = session
    this.#store.set({
      phase: 'starting',
      link: { state: 'connecting' },
      upstream: undefined,
      pipelineError: undefined,
      isOverloaded: false,
    })
    void session.run().then(() => this.#closed(session, key))
  }

  /** A key that the API refused is not kept; that there was none is no mistake of the user. */
  #closed(session: Session, key: string | undefined): void {
    if (session !== this.#session || this.#store.state.phase !== 'key') return
    sessionStorage.removeItem(keyName)
    if (key === undefined) this.#store.set({ keyProblem: undefined })
  }

  #applyTheme(): void {
    const { themeChoice } = this.#store.state
    const isDark = matchMedia('(prefers-color-scheme: dark)').matches
    const theme = themeChoice === 'system' ? (isDark ? 'dark' : 'light') : themeChoice
    document.documentElement.dataset['theme'] = theme
    this.#store.set({ theme })
  }
}

function themeOf(text: string | null): ThemeChoice {
  return text === 'light' || text === 'dark' ? text : 'system'
}
