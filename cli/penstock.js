#!/usr/bin/env node
// The `penstock` command. Plain JavaScript that older Nodes can read, so that it can say which Node is needed.
//
// In a checkout it runs cli/main.ts as it stands, on the Node of node_modules when this one is too old. In the published
// package there is no main.ts: there it runs the compiled dist/cli/main.js, because Node strips no types below
// node_modules.

import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import * as nodeModule from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const nodeMajorMin = 24

// Node's file calls run on four threads unless told before the first of them. A broker syncs many files at once: 500 files
// took 0.54 s on 4 threads, 0.45 s on 16 and 0.42 s on 64 (an idle disk; 1.06, 0.61 and 0.56 s on a busy one), and one file
// alone no longer. Set here, it is in time, and `penstock up` hands it to the roles.
process.env.UV_THREADPOOL_SIZE ??= '16'

const here = dirname(fileURLToPath(import.meta.url))
const isCheckout = existsSync(join(here, 'main.ts'))
const modules = join(here, '..', 'node_modules')

if (isCheckout && !existsSync(modules)) {
  fail('the dependencies are not installed: run `npm ci` in this checkout, then try again')
} else if (major(process.versions.node) >= nodeMajorMin) {
  if (isCheckout) keepCompiled()
  await import(isCheckout ? './main.ts' : '../dist/cli/main.js')
} else if (isCheckout && major(pinnedVersion()) >= nodeMajorMin) {
  runOn(join(modules, '.bin', 'node'))
} else {
  const todo = isCheckout
    ? 'run `npm ci` in this checkout, which brings the right one, then try again'
    : 'install a newer one (https://nodejs.org) and put it first in PATH'
  fail(`needs Node ${nodeMajorMin} or newer, and this is ${process.version} (${process.execPath}): ${todo}`)
}

/**
 * Keeps the stripped and compiled sources for the next start: a role takes 0.8 s of CPU to come up instead of 1.9 s. Not in
 * the temporary folder, which is Node's default: others may write there, and what lies there is run.
 */
function keepCompiled() {
  const folder = join(modules, '.cache', 'penstock')
  nodeModule.enableCompileCache(folder)
  // Threads read it from there: the API's second one takes 0.1 s of CPU to begin instead of 0.35 s.
  process.env.NODE_COMPILE_CACHE ??= folder
}

/** The version of the Node that the checkout's devDependency installed; `0` when it is not there. */
function pinnedVersion() {
  try {
    return String(JSON.parse(readFileSync(join(modules, 'node', 'package.json'), 'utf8')).version)
  } catch {
    return '0'
  }
}

/**
 * Runs this file again on another Node, as if it were this process: same streams, signals and exit status.
 *
 * @param {string} node
 */
function runOn(node) {
  const child = spawn(node, [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  })
  // On a terminal Ctrl-C reaches the child by itself, as one of the foreground group: a second SIGINT from here would
  // look like an impatient second Ctrl-C.
  const onTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGCONT'])) {
    const reachesChild = onTerminal && (signal === 'SIGINT' || signal === 'SIGQUIT')
    process.on(signal, () => {
      if (!reachesChild) child.kill(signal)
    })
  }
  child.on('error', (error) => fail(`cannot start ${node}: ${error.message}`))
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    // Ends as the child did, so that a shell or a supervisor sees the same. What cannot be repeated (handled here, or
    // ignored by whoever started us) becomes the number that shells use.
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
    setTimeout(() => process.exit(128 + constants.signals[signal]), 100)
  })
}

/** @param {string} version such as `24.1.0` */
function major(version) {
  return Number.parseInt(version, 10)
}

/** @param {string} text */
function fail(text) {
  process.stderr.write(`penstock: ${text}\n`)
  process.exitCode = 1
}
