// Builds the page of dashboard/ to dashboard/dist, where the API looks for it; does nothing when it is built already.
// Runs before `npm start` and `npm test` and in `npm run build`, on whatever Node the machine has: plain JavaScript, and
// Vite runs on the one in node_modules.
//
//   node cli/dashboard.js            build when a source changed since; a failure is told, and ends nothing
//   node cli/dashboard.js --force    build in any case, and fail where that fails

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const source = join(root, 'dashboard')
const dist = join(source, 'dist')

/** Holds the hash of what the page was built from. By content: a checkout gives files the times it likes. */
const stamp = join(dist, '.sources')

/** What the page is made of, beside its own folder. */
const others = ['wire', 'package.json', 'package-lock.json', 'tsconfig.json', 'cli/dashboard.js']

if (process.argv.includes('--vite')) await build(String(process.argv.at(-1)))
else if (process.argv.includes('--force') || !isBuilt()) buildAside()

/** Builds beside the old page and changes them over, so that an API that serves it never sees half of one. */
function buildAside() {
  const hash = hashOfSources()
  const next = join(source, 'dist', '..', `.dist-${process.pid}`)
  const node = join(root, 'node_modules', '.bin', process.platform === 'win32' ? 'node.cmd' : 'node')
  const { status, error } = spawnSync(
    existsSync(node) ? node : process.execPath,
    [fileURLToPath(import.meta.url), '--vite', next],
    {
      cwd: root,
      stdio: ['ignore', 2, 2],
    },
  )
  if (status !== 0) {
    process.stderr.write(
      `penstock: the dashboard could not be built${error === undefined ? '' : ` (${error.message})`}\n`,
    )
    rmSync(next, { recursive: true, force: true })
    // The pipeline runs without its page, and the API says there how it is built.
    if (process.argv.includes('--force')) process.exitCode = 1
    return
  }
  writeFileSync(join(next, '.sources'), `${hash}\n`)
  const old = `${next}-old`
  mkdirSync(dist, { recursive: true })
  renameSync(dist, old)
  renameSync(next, dist)
  rmSync(old, { recursive: true, force: true })
}

/** @param {string} outDir */
async function build(outDir) {
  const vite = await import('vite')
  await vite.build({
    configFile: false,
    root: source,
    logLevel: 'error',
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
      outDir,
      emptyOutDir: true,
      // Browsers that have light-dark() and AbortSignal.any.
      target: ['chrome123', 'firefox124', 'safari17.5'],
      // Its polyfill would be an inline script, and the page allows none.
      modulePreload: { polyfill: false },
      assetsInlineLimit: 0,
    },
  })
}

function isBuilt() {
  try {
    return existsSync(join(dist, 'index.html')) && readFileSync(stamp, 'utf8').trim() === hashOfSources()
  } catch {
    return false
  }
}

function hashOfSources() {
  const hash = createHash('sha256')
  for (const path of ['dashboard', ...others].flatMap((each) => filesBelow(each))) {
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(root, path)))
      .update('\0')
  }
  return hash.digest('hex')
}

/**
 * @param {string} path from the root
 * @returns {string[]}
 */
function filesBelow(path) {
  if (/\.(ts|tsx|js|json|css|svg|html)$/.test(path)) return path.endsWith('.test.ts') ? [] : [path]
  return readdirSync(join(root, path), { withFileTypes: true })
    .filter((entry) => !entry.name.startsWith('.') && entry.name !== 'dist')
    .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    .toSorted()
    .flatMap((name) =>
      name.endsWith('/') || /\.(ts|tsx|js|json|css|svg|html)$/.test(name) ? filesBelow(join(path, name)) : [],
    )
}
