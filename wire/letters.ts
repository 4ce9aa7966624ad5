/** How many dead letters one request may be about: the same at the broker, the proxy and the API. */

/** Letters that a page has unless it is told. */
export const lettersListedDefault = 100

export const lettersListedMax = 1_000

/** Letters that are sent again, or put away, at once. */
export const lettersDealtMax = 10_000
