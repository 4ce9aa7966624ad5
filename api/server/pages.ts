/** What needs no key: the page and its assets, Swagger UI, the OpenAPI file, and the doors that every role has. */

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'
import type { Metrics } from '#lib/metrics'
import { version } from '#lib/version'
import { Problem } from '#wire/problems'
import { sendTagged } from '../formats/send.ts'
import { pingHeaders } from '../intake/influx.ts'
import { openApi } from './openapi.ts'

export interface PageOptions {
  readonly metrics: Metrics
  /** True, or why the role cannot do its work now. */
  readonly ready: () => true | string
  /** Of the built page; it may not be there. */
  readonly dashboardDir: string
}

/** Beside this folder in a checkout, and beside its compiled form in the package. */
export const dashboardDist = join(import.meta.dirname, '..', '..', 'dashboard', 'dist')

/** The files that @fastify/swagger-ui brings; its plugin is not used, because it wants @fastify/swagger beside it. */
const swaggerFiles = join(dirname(fileURLToPath(import.meta.resolve('@fastify/swagger-ui'))), 'static')

export async function addPages(app: FastifyInstance, options: PageOptions): Promise<void> {
  addDoors(app, options)

  const specification = JSON.stringify(openApi(version))
  app.get('/openapi.json', { config: { route: '/openapi.json' } }, async (request, reply) =>
    sendTagged(request, reply.type('application/json'), specification),
  )

  app.get('/swagger', { config: { route: '/swagger/' } }, async (_, reply) => reply.redirect('/swagger/'))
  app.get('/swagger/', { config: { route: '/swagger/' } }, async (request, reply) =>
    sendTagged(request, reply.type(html), swaggerPage),
  )
  app.get('/swagger/swagger-initializer.js', { config: { route: '/swagger/*' } }, async (request, reply) =>
    sendTagged(request, reply.type('text/javascript; charset=utf-8'), swaggerInitializer),
  )
  await app.register(fastifyStatic, {
    root: swaggerFiles,
    prefix: '/swagger/',
    decorateReply: false,
    index: false,
    serveDotFiles: false,
    maxAge: '1h',
    allowedPath: (path) => swaggerAssets.has(path.replace(/^\//, '')),
  })

  if (existsSync(join(options.dashboardDir, 'index.html'))) {
    await app.register(fastifyStatic, {
      root: options.dashboardDir,
      prefix: '/',
      wildcard: false,
      serveDotFiles: false,
      // The names of assets carry their hash; the page itself must be asked for anew.
      setHeaders(reply, path) {
        const cached = path.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache'
        reply.header('cache-control', cached)
      },
    })
  } else app.get('/', { config: { route: '/' } }, async (_, reply) => reply.type(html).send(unbuiltPage))
}

function addDoors(app: FastifyInstance, { metrics, ready }: PageOptions): void {
  app.get('/health', { config: { route: '/health' } }, async () => ({ status: 'ok', version }))
  app.get('/ready', { config: { route: '/ready' } }, async () => {
    const state = ready()
    if (state !== true) throw new Problem('starting', state, { ready: false, role: 'api', retry_after_s: 1 })
    return { ready: true, role: 'api' }
  })
  // Clients of InfluxDB ask whether anybody is there, before they have a key.
  app.get('/ping', { config: { route: '/ping' } }, async (_, reply) =>
    reply.code(204).headers(pingHeaders(version)).send(),
  )
  app.get('/metrics', { config: { route: '/metrics' } }, async (_, reply) => {
    const { type, body } = await metrics.text()
    return reply.type(type).send(body)
  })
}

const html = 'text/html; charset=utf-8'

const swaggerAssets = new Set([
  'swagger-ui.css',
  'index.css',
  'swagger-ui-bundle.js',
  'favicon-16x16.png',
  'favicon-32x32.png',
])

const swaggerPage = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Penstock API</title>
    <link rel="stylesheet" href="swagger-ui.css">
    <link rel="stylesheet" href="index.css">
    <link rel="icon" type="image/png" href="favicon-32x32.png">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="swagger-ui-bundle.js"></script>
    <script src="swagger-initializer.js"></script>
  </body>
</html>
`

// The validator badge and anything else that would leave this host is off.
const swaggerInitializer = `window.ui = SwaggerUIBundle({
  url: '../openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
  tryItOutEnabled: true,
  presets: [SwaggerUIBundle.presets.apis],
  layout: 'BaseLayout',
})
`

const unbuiltPage = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Penstock</title>
    <style>body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }</style>
  </head>
  <body>
    <h1>Penstock</h1>
    <p>The API runs. The dashboard is not built yet: run <code>npm run dashboard</code> in the checkout, then start
    the API again.</p>
    <p>The API can be tried at <a href="/swagger/">/swagger/</a>; its description is
    <a href="/openapi.json">/openapi.json</a>.</p>
  </body>
</html>
`
