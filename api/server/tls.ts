/** TLS of the API: new certificates as they come, and who must show one. */

import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { certificateNeeded } from '#lib/http/server'
import { hasCertificate, type ServerTls } from '#lib/tls'

/** What answers without a certificate: a kubelet has none. */
const probes = new Set(['/health', '/ready'])

export function wantCertificate(app: FastifyInstance, tls: ServerTls): void {
  const server = app.server as unknown as Parameters<ServerTls['follow']>[0]
  tls.follow(server)
  if (!tls.wantsCertificate) return
  /** Found out once, when a connection is made. */
  const trusted = new WeakSet<Socket>()
  app.server.on('secureConnection', (socket: Socket) => void (hasCertificate(socket) && trusted.add(socket)))
  app.addHook('onRequest', async (request) => {
    if (!trusted.has(request.raw.socket) && !probes.has(request.url)) throw certificateNeeded()
  })
}
