/** Under a number in a table: how much of the whole it is. */

/** @param share 0 to 1; more is drawn as 1 */
export function Bar({ share }: { share: number }) {
  return (
    <span class="amount" aria-hidden="true">
      <span style={{ width: `${Math.min(1, Math.max(0, share)) * 100}%` }} />
    </span>
  )
}
