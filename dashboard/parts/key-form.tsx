/** Asks for the key where the address had none, or the API did not take it. */

import { useEffect, useRef } from 'preact/hooks'
import { Logo } from './icons.tsx'

export function KeyForm({ problem, onKey }: { problem: string | undefined; onKey: (key: string) => void }) {
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => input.current?.focus(), [problem])
  return (
    <main class="key">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault()
          onKey(input.current?.value ?? '')
        }}
      >
        <h1>
          <Logo /> Penstock
        </h1>
        <label for="key">API key</label>
        <input
          id="key"
          ref={input}
          type="password"
          autocomplete="off"
          spellcheck={false}
          required
          aria-invalid={problem !== undefined}
          aria-describedby="key-help"
        />
        {problem !== undefined && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <button type="submit" class="primary">
          Open the dashboard
        </button>
        <p id="key-help" class="quiet">
          <code>penstock up</code> prints a link that carries one (<code>#key=…</code>). It stays in this tab only.
        </p>
      </form>
    </main>
  )
}
