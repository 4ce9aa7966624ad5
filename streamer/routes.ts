/** The HTTP face of the streamer, but for the routes that every role has. */

import type { Route } from '#lib/http/http'
import type { Feed } from './feed.ts'

export function streamerRoutes(feed: Feed): Route[] {
  return [
    {
      method: 'GET',
      path: '/stream',
      handle: () => ({
        type: 'text/event-stream',
        headers: { 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' },
        stream: (sink) => feed.open(sink),
      }),
    },
  ]
}
