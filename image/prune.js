// `node prune.js node_modules`: removes native binaries of other platforms, and what they are built from. Prints what it saved.

import { readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

const { platform, arch, versions } = process
const root = process.argv[2] ?? 'node_modules'
let bytes = 0

walk(root)
console.log(`removed ${(bytes / 2 ** 20).toFixed(1)} MiB that ${platform} ${arch} cannot load`)

/** @param {string} folder */
function walk(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (isForeign(folder, entry.name)) remove(path)
    else if (entry.isDirectory()) walk(path)
  }
}

/**
 * @param {string} folder
 * @param {string} name
 */
function isForeign(folder, name) {
  if (folder.endsWith('/prebuilds')) {
    // prebuildify: linux-x64, or darwin-x64+arm64.
    const [system, ...processors] = name.split(/[-+]/)
    return system !== platform || !processors.includes(arch)
  }
  // Which libc stands in the name, where there are binaries for two; the image is not of musl.
  if (name.endsWith('.musl.node')) return true
  // uWebSockets.js: uws_linux_x64_137.node, with the version of Node's ABI.
  if (/^uws_.*\.node$/.test(name)) return name !== `uws_${platform}_${arch}_${versions.modules}.node`
  // What a prebuilt binary was made of.
  return /\/(classic-level)$/.test(folder) && ['deps', 'binding.gyp', 'binding.cc'].includes(name)
}

/** @param {string} path */
function remove(path) {
  bytes += sizeOf(path)
  rmSync(path, { recursive: true })
}

/**
 * @param {string} path
 * @returns {number}
 */
function sizeOf(path) {
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.size
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0)
}
