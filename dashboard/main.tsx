/** The page begins here. */

import { render } from 'preact'
import { sleep } from '#wire/retry'
import { Actions } from './actions.ts'
import { App } from './app.tsx'
import { firstState, Store } from './state.ts'

const store = new Store(firstState(Date.now()))
const actions = new Actions(store, {
  fetch: (url, init) => fetch(url, init),
  origin: location.origin,
  sleep,
  random: Math.random,
  wallMs: () => Date.now(),
  isHidden: () => document.hidden,
})
actions.start()
render(<App store={store} actions={actions} />, document.getElementById('app') as HTMLElement)
